"""What every command line shares: parsing, signals, progress."""
