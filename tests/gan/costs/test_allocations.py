"""Bytes that are alive, on real tensors."""

import torch

from gan.costs.allocations import LiveBytes


def test_what_is_alive_is_counted_once_and_leaves_when_nobody_refers_to_it() -> None:
    with LiveBytes() as live:
        first = torch.zeros(100)
        view = first[10:].view(9, 10)
        assert live.now == 400
        second = first + 1
        assert live.now == live.peak == 800
        del first
        assert live.now == 800, "the view keeps it"
        del view, second
        assert (live.now, live.peak) == (0, 800)
        live.restart()
        third = torch.zeros(10, dtype=torch.bfloat16)
        third.add_(1)
        assert live.now == live.peak == 20


def test_what_a_backward_pass_needs_is_alive_until_it_has_run() -> None:
    weight = torch.ones(50, 50, requires_grad=True)
    with LiveBytes() as live:
        squares = (weight * weight).exp().sum()
        assert live.now == 10_000 + 4, "of the product and its exponential one is needed, and the sum"
        squares.backward()
        assert live.now == 10_000 + 4, "the gradient, and the sum"
