"""Network families by name; how each is built lies in its own file."""

from gan.networks.dcgan import Discriminator, Generator, build_discriminator, build_generator

__all__ = ["Discriminator", "Generator", "build_discriminator", "build_generator"]
