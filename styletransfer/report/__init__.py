"""The contact sheet and what the terminal shows."""
