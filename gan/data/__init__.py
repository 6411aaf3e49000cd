"""Any source of images becomes memory-mapped uint8 arrays."""
