"""The search space of a sweep: domains, conditions, TOML."""
