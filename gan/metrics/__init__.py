"""Measures of generated images, found by name."""
