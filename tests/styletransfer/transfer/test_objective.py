"""The objective whole against tiled, against finite differences, and what its weights and masks mean."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from perceptual.network import CompactNetwork
from styletransfer.config import StyleConfig
from styletransfer.transfer.features import Features, Reader
from styletransfer.transfer.losses import LossTerm, loss_terms
from styletransfer.transfer.moments import Moments, moments
from styletransfer.transfer.objective import Objective
from styletransfer.transfer.request import TransferRequest, targets_of
from styletransfer.transfer.scales import as_tensor, resized
from styletransfer.transfer.targets import ScaleTargets
from styletransfer.transfer.tiles import Tile
from tests.styletransfer.tiny import picture, tiny_config, tiny_network

NETWORK = tiny_network()
MIRRORED = NETWORK.padded_by("reflect")  # as pictures are read to be stylized


def objective_for(
    config: StyleConfig,
    content: np.ndarray,
    styles: list[np.ndarray],
    *,
    masks: Tensor | None = None,
    network: CompactNetwork = NETWORK,
) -> Objective:
    """For pictures as they are, without scaling, in the network's precision."""
    reader = Reader(network, config.taps(), precision="fp32")
    dtype = network.layers()[0].weight.dtype
    seen = [reader.moments(as_tensor(style).to(dtype)) for style in styles]
    height, width = content.shape[:2]
    return Objective(
        network,
        config,
        ScaleTargets(
            content=reader.features(as_tensor(content).to(dtype)),
            styles={
                tap: Moments(*(torch.cat([each[tap][part] for each in seen], dim=1) for part in range(2)))
                for tap in config.style_layers
            },
        ),
        height=height,
        width=width,
        masks=masks,
    )


@pytest.mark.parametrize("statistics", ["gram", "wasserstein"])
@pytest.mark.parametrize(("height", "width"), [(150, 200), (131, 77), (37, 211)])
def test_tiles_give_the_loss_and_the_gradient_of_the_whole(statistics: str, height: int, width: int) -> None:
    content, style, canvas = picture(height, width), picture(70, 90, seed=1), picture(height, width, seed=2)
    config = tiny_config(statistics=statistics)
    # in float64: at 1e-4 of float32, a few activations are zero in one of the two and not in the other
    network = tiny_network().double()
    whole, tiled = (
        objective_for(dataclasses.replace(config, tile=tile), content, [style], network=network)(
            as_tensor(canvas).double()
        )
        for tile in (0, 64)
    )
    torch.testing.assert_close(tiled.terms, whole.terms, rtol=1e-9, atol=1e-12)
    scale = float(whole.gradient.abs().max())
    torch.testing.assert_close(tiled.gradient / scale, whole.gradient / scale, rtol=0, atol=1e-9)


def test_a_term_that_is_added_to_the_list_counts_with_and_without_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Contrast(LossTerm):
        name, weight = "contrast", 3.0

        def pixel_sums(self, pictures: Tensor) -> list[Tensor]:
            return [pictures.square().mean(dim=(1, 2, 3))]

        def tile_sums(self, features: Features, tile: Tile) -> list[Tensor]:
            return [features["relu1_1"].sum(dim=(1, 2, 3)) / (140 * 90)]

        def value(self, sums: Sequence[Tensor]) -> Tensor:
            of_pixels, of_features = sums
            return of_pixels + of_features.square()

    def more_terms(*args: Any, **options: Any) -> list[LossTerm]:
        return [*loss_terms(*args, **options), Contrast()]

    config, canvas = tiny_config(tv_weight=2.0), as_tensor(picture(140, 90, seed=2))
    plain = objective_for(config, picture(140, 90), [picture(60, 60, seed=1)])(canvas)
    monkeypatch.setattr("styletransfer.transfer.objective.loss_terms", more_terms)
    whole, tiled = (
        objective_for(dataclasses.replace(config, tile=tile), picture(140, 90), [picture(60, 60, seed=1)])(
            canvas
        )
        for tile in (0, 64)
    )
    [losses] = whole.losses()
    assert list(losses) == ["content", "style", "variation", "contrast", "total"]
    activations = MIRRORED(canvas, ["relu1_1"])["relu1_1"]
    expected = float(canvas.square().mean() + (activations.sum() / (140 * 90)).square())
    assert losses["contrast"] == pytest.approx(expected, rel=1e-4)
    assert losses["total"] == pytest.approx(plain.losses()[0]["total"] + 3 * expected, rel=1e-4)
    torch.testing.assert_close(tiled.terms, whole.terms, rtol=1e-4, atol=1e-7)
    scale = float(whole.gradient.abs().max())
    torch.testing.assert_close(tiled.gradient / scale, whole.gradient / scale, rtol=0, atol=1e-4)


def test_masks_go_through_tiles_too() -> None:
    content, canvas = picture(140, 90), as_tensor(picture(140, 90, seed=2))
    styles = [picture(60, 60, seed=1), picture(60, 60, seed=3)]
    masks = torch.rand(1, 2, 140, 90, generator=torch.Generator().manual_seed(0))
    whole, tiled = (
        objective_for(tiny_config(tile=tile, style_blend=(1, 3)), content, styles, masks=masks)(canvas)
        for tile in (0, 64)
    )
    torch.testing.assert_close(tiled.terms, whole.terms, rtol=1e-4, atol=1e-7)
    scale = float(whole.gradient.abs().max())
    torch.testing.assert_close(tiled.gradient / scale, whole.gradient / scale, rtol=0, atol=1e-4)


@pytest.mark.parametrize("statistics", ["gram", "wasserstein"])
def test_the_gradient_agrees_with_finite_differences(statistics: str) -> None:
    network = tiny_network().double()
    content, style = (as_tensor(picture(9, 8, seed=seed)).double() for seed in (0, 1))
    config = tiny_config(statistics=statistics, tv_weight=3.0)
    objective = Objective(
        network,
        config,
        ScaleTargets(
            content=network(content, config.content_layers),
            styles={tap: moments(found) for tap, found in network(style, config.style_layers).items()},
        ),
        height=9,
        width=8,
    )
    canvas = as_tensor(picture(9, 8, seed=2)).double()
    evaluated = objective(canvas)
    random = torch.Generator().manual_seed(0)
    for _ in range(5):
        direction = torch.randn(canvas.shape, generator=random, dtype=torch.float64)
        step = 1e-6
        up, down = (objective(canvas + sign * step * direction).terms[0, -1] for sign in (1, -1))
        expected = float(up - down) / (2 * step)
        found = float((evaluated.gradient * direction).sum()) / canvas.numel()
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_total_is_the_weighted_sum_of_the_terms() -> None:
    config = tiny_config(content_weight=2.0, style_weight=30.0, tv_weight=5.0)
    objective = objective_for(config, picture(24, 32), [picture(30, 30, seed=1)])
    (losses,) = objective(as_tensor(picture(24, 32, seed=2))).losses()
    assert list(losses) == ["content", "style", "variation", "total"]
    expected = 2 * losses["content"] + 30 * losses["style"] + 5 * losses["variation"]
    assert losses["total"] == pytest.approx(expected, rel=1e-5)
    (alone,) = objective.losses(as_tensor(picture(24, 32, seed=2)))
    assert alone == pytest.approx(losses, rel=1e-5)


def test_each_picture_of_a_batch_is_evaluated_as_if_alone() -> None:
    config = tiny_config(scales=1, style_weight=1.0)
    requests = [
        TransferRequest(content=picture(24, 32, seed=seed), styles=[picture(30, 40, seed=seed + 5)])
        for seed in (0, 1)
    ]
    canvases = torch.cat([as_tensor(picture(24, 32, seed=seed)) for seed in (2, 3)])

    def evaluated(of: list[TransferRequest], pictures: Tensor) -> tuple[Tensor, Tensor]:
        (targets,) = targets_of(of, config, network=NETWORK, device="cpu")
        found = Objective(NETWORK, config, targets, height=24, width=32)(pictures)
        return found.terms, found.gradient

    terms, gradient = evaluated(requests, canvases)
    for index in range(2):
        alone_terms, alone_gradient = evaluated(requests[index : index + 1], canvases[index : index + 1])
        torch.testing.assert_close(terms[index : index + 1], alone_terms)
        small = 1e-5 * float(alone_gradient.abs().max())  # processors differ in the order of sums
        torch.testing.assert_close(gradient[index : index + 1], alone_gradient, rtol=1e-3, atol=small)


def test_a_layer_of_weight_nothing_and_one_left_out_are_the_same() -> None:
    content, style, canvas = picture(24, 32), picture(30, 30, seed=1), as_tensor(picture(24, 32, seed=2))
    weighted = tiny_config(style_layer_weights=(2, 0, 2))
    without = tiny_config(style_layers=("relu1_1", "relu3_1"))
    first, second = (objective_for(config, content, [style])(canvas) for config in (weighted, without))
    torch.testing.assert_close(first.terms, second.terms)


def test_a_blend_is_the_weighted_mean_of_its_styles() -> None:
    content, canvas = picture(24, 32), as_tensor(picture(24, 32, seed=2))
    styles = [picture(30, 30, seed=1), picture(30, 30, seed=3)]
    first, second = (
        float(objective_for(tiny_config(), content, [style])(canvas).terms[0, 1]) for style in styles
    )
    for blend, expected in (
        ((1, 3), 0.25 * first + 0.75 * second),
        ((5, 0), first),
        ((), (first + second) / 2),
    ):
        found = objective_for(tiny_config(style_blend=blend), content, styles)(canvas)
        assert float(found.terms[0, 1]) == pytest.approx(expected, rel=1e-4)


def test_a_masked_style_only_looks_where_its_mask_is_white() -> None:
    content, style, canvas = picture(48, 64), picture(30, 30), picture(48, 64, seed=2)
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., :24] = 1
    config = tiny_config(style_layers=("relu2_1",), content_weight=0, tv_weight=0, style_weight=1)
    evaluated = objective_for(config, content, [style], masks=mask)(as_tensor(canvas))

    def gram(pixels: np.ndarray, columns: int) -> np.ndarray:
        points = MIRRORED(as_tensor(pixels), ["relu2_1"])["relu2_1"][0, :, :, :columns].flatten(1).double()
        return (points @ points.T / points.shape[1]).numpy()

    found, wanted = gram(canvas, 12), gram(style, 15)
    expected = np.linalg.norm(found - wanted) ** 2 / np.linalg.norm(wanted) ** 2
    assert float(evaluated.terms[0, 1]) == pytest.approx(expected, rel=1e-4)
    # the last position that counts, of 2 pixels, looks 4 pixels beyond
    assert float(evaluated.gradient[..., :24].abs().amin(dim=(1, 2)).max()) > 0
    assert float(evaluated.gradient[..., 28:].abs().max()) == 0


def test_where_no_style_goes_neither_content_nor_variation_counts() -> None:
    content, canvas = picture(48, 64), picture(48, 64, seed=2)
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 8:24] = 1
    config = tiny_config(content_layers=("relu2_1",))
    evaluated = objective_for(config, content, [picture(30, 30)], masks=mask)(as_tensor(canvas))

    def part(pixels: np.ndarray) -> np.ndarray:
        return MIRRORED(as_tensor(pixels), ["relu2_1"])["relu2_1"][0, :, :, 4:12].double().numpy()

    expected = ((part(canvas) - part(content)) ** 2).sum() / (part(content) ** 2).sum()
    assert float(evaluated.terms[0, 0]) == pytest.approx(expected, rel=1e-4)
    inside = canvas[:, 8:24].astype(np.float64)
    variation = (np.diff(inside, axis=0) ** 2).mean() + (np.diff(inside, axis=1) ** 2).mean()
    assert float(evaluated.terms[0, 2]) == pytest.approx(variation, rel=1e-4)


def test_half_a_mask_weighs_half_in_every_term() -> None:
    """Grey everywhere is the same as no mask; of grey and white, grey counts half."""
    config, content, style = tiny_config(), picture(24, 32), [picture(30, 30, seed=1)]
    canvas = as_tensor(picture(24, 32, seed=2))
    grey, none = (
        objective_for(config, content, style, masks=masks)(canvas).terms
        for masks in (torch.full((1, 1, 24, 32), 0.5), None)
    )
    torch.testing.assert_close(grey, none, rtol=1e-4, atol=1e-6)
    mixed = torch.ones(1, 1, 24, 32)
    mixed[..., :16] = 0.5
    parts = [
        objective_for(config, content, style, masks=(mixed == value).float())(canvas).terms[0, 0]
        for value in (0.5, 1.0)
    ]
    energies = [
        float(MIRRORED(as_tensor(content), ["relu3_1"])["relu3_1"][..., columns].square().sum())
        for columns in (slice(0, 4), slice(4, 8))
    ]
    shares = np.array([0.5, 1.0]) * energies / (np.array([0.5, 1.0]) @ energies)
    found = objective_for(config, content, style, masks=mixed)(canvas).terms[0, 0]
    assert float(found) == pytest.approx(float(shares @ [float(part) for part in parts]), rel=1e-4)


def test_styles_pull_equally_hard_at_each_pixel_however_large_their_masks() -> None:
    content, canvas = picture(32, 64), as_tensor(picture(32, 64, seed=2))
    styles = [picture(30, 30, seed=1), picture(30, 30, seed=3)]
    small = torch.zeros(1, 1, 32, 64)
    small[..., :16] = 1
    both = objective_for(tiny_config(), content, styles, masks=torch.cat([small, 1 - small], dim=1))
    alone = [
        float(objective_for(tiny_config(), content, [style], masks=mask)(canvas).terms[0, 1])
        for style, mask in zip(styles, (small, 1 - small), strict=True)
    ]
    expected = 0.25 * alone[0] + 0.75 * alone[1]
    assert float(both(canvas).terms[0, 1]) == pytest.approx(expected, rel=1e-4)


def test_a_black_mask_leaves_no_gradient_and_nothing_that_is_not_finite() -> None:
    config = tiny_config()
    evaluated = objective_for(config, picture(24, 32), [picture(30, 30)], masks=torch.zeros(1, 1, 24, 32))(
        as_tensor(picture(24, 32, seed=2))
    )
    assert evaluated.is_finite()
    assert float(evaluated.gradient.abs().max()) == 0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (3, 2)])
def test_a_picture_smaller_than_a_position_of_the_deepest_layer_is_evaluated(height: int, width: int) -> None:
    objective = objective_for(tiny_config(), picture(height, width), [picture(1, 3, seed=1)])
    evaluated = objective(as_tensor(picture(height, width, seed=2)))
    assert evaluated.is_finite()
    assert evaluated.gradient.shape == (1, 3, height, width)


def balance(network: CompactNetwork, side: int, config: StyleConfig) -> float:
    """How hard style pulls over how hard content pulls, at a picture half way between the two."""
    content, style = (
        resized(as_tensor(getattr(skimage.data, name)()), side, side)[0].permute(1, 2, 0).numpy()
        for name in ("astronaut", "coffee")
    )
    canvas = as_tensor((content + style) / 2)
    pulls = []
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        only = dataclasses.replace(config, content_weight=weights[0], style_weight=weights[1], tv_weight=0)
        gradient = objective_for(only, content, [style], network=network)(canvas).gradient
        pulls.append(float(gradient.square().mean().sqrt()))
    return pulls[1] / pulls[0]


def test_the_same_weight_gives_the_same_balance_at_every_size_and_in_every_network() -> None:
    config = tiny_config()
    widths = {"first": (8, 16, 24), "second": (8, 16, 24), "wide": (16, 24, 32)}
    balances = {
        (name, side): balance(tiny_network(seed, widths[name]), side, config)
        for seed, name in enumerate(widths)
        for side in (128, 256)
    }
    middle = float(np.median(list(balances.values())))
    assert all(middle / 1.5 < each < middle * 1.5 for each in balances.values()), balances
    # Gatys et al. 2016 write sums over positions: there the balance moves by 4 from 128 to 256 pixels
    for name in widths:
        assert balances[name, 128] / balances[name, 256] == pytest.approx(1, abs=0.25)


def test_the_balance_does_not_depend_on_the_unit_of_the_activations() -> None:
    config, quiet, loud = tiny_config(), tiny_network(), tiny_network()
    loud.layers()[0].weight.mul_(50)
    for layer in loud.layers():
        assert layer.bias is not None
        layer.bias.mul_(50)  # now every activation is 50 times as large
    assert balance(loud, 64, config) == pytest.approx(balance(quiet, 64, config), rel=1e-3)
