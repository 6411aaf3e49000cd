"""The page of one run, and the gallery of a generator: its samples, a walk, its nearest training pictures."""
