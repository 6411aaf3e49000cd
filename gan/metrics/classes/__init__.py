"""Which classes images are of: a classifier trained for the data set, and modes counted with it."""
