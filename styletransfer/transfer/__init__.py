"""From pictures to a stylized picture: objective, optimizers, scales, tiles."""
