"""Warm Ray Train workers that outlive trials, and the pool that lends them."""
