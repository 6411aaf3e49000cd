"""Parses command lines, turns signals into exceptions and shows progress."""
