"""One run on the workers of Ray Train."""
