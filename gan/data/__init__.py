"""Any image source becomes one memory-mapped uint8 array."""
