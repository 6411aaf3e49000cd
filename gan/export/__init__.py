"""Generators as files for other programs, each of which was read again and compared before it is kept."""
