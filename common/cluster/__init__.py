"""Ray sessions, nodes, placement and shared storage."""
