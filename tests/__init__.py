"""Ours: an installed package (torch-fidelity 0.4) brings one of the same name, which this one comes before."""
