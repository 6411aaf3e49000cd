"""Measures of generated images; those that a run can measure every tick are in `named`."""
