"""The commands of `python -m gan`: their flags, what they do, and their output in a terminal."""
