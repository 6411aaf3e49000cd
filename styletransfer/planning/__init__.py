"""Which pairs are stylized, under which names, and which are stale."""
