"""Tunes GANs: many trials on one machine or a Ray cluster."""
