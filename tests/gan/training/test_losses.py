"""Losses against closed forms, the cross-entropy of another implementation, and numerical gradients."""

import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F
from torch import nn

from gan.config import LossConfig
from gan.training.losses import LOSSES
from gan.training.losses.wasserstein import gradient_penalty

REAL = torch.tensor([0.3, -1.2, 2.5, 0.0], dtype=torch.float64)
FAKE = torch.tensor([-0.7, 1.1, 0.2, -3.0], dtype=torch.float64)


def test_non_saturating_discriminator_is_the_cross_entropy_with_a_smoothed_real_label() -> None:
    for smoothing in (0.0, 0.1, 0.5):
        expected = F.binary_cross_entropy_with_logits(
            REAL, torch.full_like(REAL, 1 - smoothing)
        ) + F.binary_cross_entropy_with_logits(FAKE, torch.zeros_like(FAKE))
        torch.testing.assert_close(LOSSES["non-saturating"].discriminator(REAL, FAKE, smoothing), expected)


def test_non_saturating_generator_is_minus_log_of_the_probability_of_real() -> None:
    expected = -np.log(scipy.special.expit(FAKE.numpy())).mean()
    assert float(LOSSES["non-saturating"].generator(FAKE)) == pytest.approx(expected)


def test_at_logits_of_zero_the_discriminator_loses_two_log_two() -> None:
    zeros = torch.zeros(3)
    assert float(LOSSES["non-saturating"].discriminator(zeros, zeros, 0.0)) == pytest.approx(2 * np.log(2))


def test_hinge_counts_only_what_lies_within_the_margin() -> None:
    # real: 0.7, 2.2, 0, 1; fake: 0.3, 2.1, 1.2, 0
    expected = (0.7 + 2.2 + 1.0) / 4 + (0.3 + 2.1 + 1.2) / 4
    assert float(LOSSES["hinge"].discriminator(REAL, FAKE, 0.0)) == pytest.approx(expected)
    assert float(LOSSES["hinge"].generator(FAKE)) == pytest.approx(0.6)


def test_least_squares_is_half_the_squared_distance_to_the_targets() -> None:
    real, fake = REAL.numpy(), FAKE.numpy()
    expected = 0.5 * ((real - 0.9) ** 2).mean() + 0.5 * (fake**2).mean()
    assert float(LOSSES["least-squares"].discriminator(REAL, FAKE, 0.1)) == pytest.approx(expected)
    assert float(LOSSES["least-squares"].generator(FAKE)) == pytest.approx(0.5 * ((fake - 1) ** 2).mean())


def test_wasserstein_is_the_difference_of_means() -> None:
    assert float(LOSSES["wasserstein"].discriminator(REAL, FAKE, 0.0)) == pytest.approx(-0.6 - 0.4)
    assert float(LOSSES["wasserstein"].generator(FAKE)) == pytest.approx(0.6)


def test_of_the_losses_here_only_wasserstein_has_a_penalty_and_a_critic_without_batch_norm() -> None:
    config = LossConfig(gradient_penalty=3.0)
    expected = {
        "hinge": (0.0, "batch"),
        "least-squares": (0.0, "batch"),
        "non-saturating": (0.0, "batch"),
        "wasserstein": (3.0, "layer"),
    }
    found = {name: (LOSSES[name].penalty_weight(config), LOSSES[name].critic_norm) for name in expected}
    assert found == expected


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_loss_says_whether_it_smooths_labels(name: str) -> None:
    plain, smoothed = (float(LOSSES[name].discriminator(REAL, FAKE, share)) for share in (0.0, 0.1))
    assert LOSSES[name].smooths == (plain != smoothed)


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_agree_with_finite_differences(name: str) -> None:
    loss = LOSSES[name]
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r, f: loss.discriminator(r, f, 0.1), (real, fake))
    assert torch.autograd.gradcheck(loss.generator, (fake,))


@pytest.mark.parametrize("name", list(LOSSES))
def test_extreme_logits_in_bf16_give_finite_fp32_losses(name: str) -> None:
    loss = LOSSES[name]
    logits = torch.tensor([300.0, -300.0]).bfloat16()
    for value in (loss.discriminator(logits, logits, 0.0), loss.generator(logits)):
        assert value.dtype == torch.float32
        assert value.isfinite()


def test_the_penalty_of_a_linear_critic_is_its_slope_s_squared_distance_to_one() -> None:
    slope = torch.randn(1, 2, 4, 4, dtype=torch.float64)

    class Linear(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images * slope).sum((1, 2, 3))

    real, fake = torch.randn(2, 5, 2, 4, 4, dtype=torch.float64)
    penalty = gradient_penalty(Linear(), real, fake, torch.rand(5, dtype=torch.float64))
    assert penalty.item() == pytest.approx((float(slope.norm()) - 1) ** 2)


def test_the_penalty_is_taken_between_fake_at_share_0_and_real_at_share_1() -> None:
    class Half(nn.Module):  # its gradient at x is x
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 0.5 * images.square().sum((1, 2, 3))

    real, fake = torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), -2.0)
    for share, norm in ((0.0, 2.0), (1.0, 3.0), (0.5, 0.5)):
        assert gradient_penalty(Half(), real, fake, torch.tensor([share])).item() == pytest.approx(
            (norm - 1) ** 2
        )


def test_the_penalty_s_gradient_in_the_critic_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(0, -1)).double()
    real, fake = torch.randn(2, 2, 1, 4, 4, dtype=torch.float64)
    weight = critic[0].weight.detach().clone().requires_grad_()

    def penalty(value: torch.Tensor) -> torch.Tensor:
        class With(nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                return torch.func.functional_call(critic, {"0.weight": value}, (images,))

        return gradient_penalty(With(), real, fake, torch.tensor([0.3, 0.8], dtype=torch.float64))

    assert torch.autograd.gradcheck(penalty, (weight,))
