"""Training as the workers of a Ray Train run."""
