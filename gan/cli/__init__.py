"""The commands of `python -m gan`: flags and what the terminal shows."""
