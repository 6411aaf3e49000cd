"""Trains the weights of the shipped feature network: `python -m perceptual.train`."""
