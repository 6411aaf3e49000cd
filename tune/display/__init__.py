"""Shows a sweep in the terminal."""
