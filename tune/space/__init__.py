"""The search space as data."""
