"""Training one GAN: its networks, data, training and metrics, and the commands `python -m gan`."""
