"""Runs a sweep, from its settings to its results."""
