"""Ours: an installed package (torch-fidelity 0.4) brings one of that name, which this one comes before."""
