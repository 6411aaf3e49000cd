"""Minibatch standard deviation against a plain loop, and in the discriminator."""

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.config import GanConfig, NetworkConfig
from gan.networks import build_discriminator, describe
from gan.networks.minibatch_std import MinibatchStd


def _features(count: int) -> torch.Tensor:
    return torch.randn(count, 5, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("group_size", [2, 3, 6])
def test_the_channel_is_the_mean_deviation_within_each_group_as_a_loop_has_it(group_size: int) -> None:
    features = _features(6).float()
    found = MinibatchStd(group_size)(features)
    assert torch.equal(found[:, :5], features)
    for image in range(6):
        first = image // group_size * group_size
        group = features[first : first + group_size].double().numpy()
        deviations = [
            np.std(group[:, channel, row, column])
            for channel in range(5)
            for row in range(4)
            for column in range(3)
        ]
        np.testing.assert_allclose(found[image, 5].numpy(), np.mean(deviations), rtol=1e-5)


def test_shares_of_whole_groups_give_what_the_whole_batch_gives() -> None:
    features = _features(8).float()
    layer = MinibatchStd(2)
    torch.testing.assert_close(torch.cat([layer(features[:4]), layer(features[4:])]), layer(features))


def test_equal_images_have_no_spread_and_finite_gradients() -> None:
    features = _features(1).float().expand(4, -1, -1, -1).clone().requires_grad_()
    found = MinibatchStd(4)(features)
    assert found[:, 5].max() < 2e-4
    found[:, 5].sum().backward()
    assert features.grad is not None and features.grad.isfinite().all()


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_discriminator_with_it_tells_a_collapsed_batch_by_its_last_weights(norm: str) -> None:
    config = NetworkConfig(width=4, minibatch_std=4)
    network = build_discriminator(config, resolution=16, channels=3, norm=norm)  # type: ignore[arg-type]
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        weights = network.to_logit.weight.view(4, 4, -1)
        weights.zero_()
        weights[:, :, -1] = 1  # the spread alone
        varied, equal = network(images), network(images[:1].expand(8, -1, -1, -1))
    assert (varied > 0.1).all() and (equal.abs() < 0.01).all()
    assert varied[:4].unique().numel() == varied[4:].unique().numel() == 1


def test_the_description_names_what_is_judged_together_and_counts_its_parameters() -> None:
    plain, both = NetworkConfig(width=4), NetworkConfig(width=4, packing=2, minibatch_std=4)
    network = build_discriminator(both, resolution=16, channels=3)
    count = sum(parameter.numel() for parameter in network.parameters())
    said = describe(both, resolution=16, channels=3)
    assert "2 images judged at once, minibatch standard deviation of 4" in said
    assert f"{count:,} in the discriminator" in said
    assert "judged" not in describe(plain, resolution=16, channels=3)


@pytest.mark.parametrize(
    ("values", "workers", "message"),
    [
        ({"network.packing": 3}, 1, "--batch must be a multiple of 3, .* not 64; try 63 or 66"),
        ({"network.packing": 0}, 1, "--packing must lie between 1 and 64, not 0; try 2"),
        (
            {"network.minibatch_std": 1},
            1,
            "--minibatch-std must be 0 or lie between 2 and 1024, not 1",
        ),
        (
            {"network.packing": 4, "network.minibatch_std": 8},
            4,
            "128, that is --packing 4 times --minibatch-std 8 times 4 workers, not 64; try 128 or 256",
        ),
        (
            {"network.packing": 64},
            2,
            "must be a multiple of 128, .* times 2 workers, not 64; try 128",
        ),
    ],
)
def test_a_batch_that_packs_and_groups_do_not_divide_is_refused_in_one_line(
    values: dict[str, int], workers: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        GanConfig().with_values(values).check_workers(workers)
    assert "\n" not in str(caught.value)


def test_saved_settings_of_before_mean_what_they_meant() -> None:
    saved = GanConfig().to_dict()
    for later in ("packing", "minibatch_std", "upsampling"):
        del saved["network"][later]
    del saved["regularization"]
    config = GanConfig.from_dict(saved)
    assert config.network == NetworkConfig(upsampling="transposed")
    assert config.regularization == GanConfig().regularization
