"""Flags of `python -m tune`, and what runs its commands."""
