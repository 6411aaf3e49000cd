"""Feature networks that compare pictures, shared by GAN metrics and style transfer."""
