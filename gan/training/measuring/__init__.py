"""What is measured of a run: at the end of each tick, and again of states that were chosen by that."""
