"""both train in every step."""

from gan.training.balance import Policy

POLICY = Policy(search_place=0)
