"""Durable files: atomic writes, append-only logs, content hashes, and folders that may be a path or a URL."""
