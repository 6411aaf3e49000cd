"""What happens in a tick: run, step, losses, balance policies, learning rates."""
