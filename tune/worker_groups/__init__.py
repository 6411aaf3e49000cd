"""Warm worker groups (Ray Train runs that outlive trials), and the pool that lends them to trials."""
