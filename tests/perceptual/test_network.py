"""The stack of convolutions: taps, truncation, pooling, and what it refuses."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from perceptual.network import CompactNetwork, Padding, Pooling

WIDTHS = (4, 5, 6, 7, 8)


def network(pooling: Pooling = "average", last_tap: str | None = None) -> CompactNetwork:
    """A narrow one; the same weights whenever it is made."""
    torch.manual_seed(3)
    return CompactNetwork(WIDTHS, pooling=pooling, last_tap=last_tap).requires_grad_(False)


def images(height: int = 40, width: int = 48, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(5))


def by_hand(whole: CompactNetwork, x: torch.Tensor, padding: str = "zeros") -> dict[str, torch.Tensor]:
    """All taps, written out with NumPy-like steps: normalize, then convolve, cut at zero, halve."""
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        1, 3, 1, 1
    )
    found = {}
    state = whole.state_dict()
    for stage, index in itertools.product(range(1, 6), (1, 2)):
        if stage > 1 and index == 1:
            height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
            x = x[:, :, :height, :width]
            corners = torch.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)])
            x = corners.mean(0) if whole.pooling == "average" else corners.amax(0)
        place = 2 * (stage - 1) + index - 1
        weight, bias = state[f"convolutions.{place}.weight"], state[f"convolutions.{place}.bias"]
        mode = "constant" if padding == "zeros" else "reflect" if min(x.shape[2:]) > 1 else "edge"
        around = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode=mode)
        product = weight.flatten(1) @ F.unfold(torch.from_numpy(around), 3) + bias[:, None]
        x = product.clamp_min(0).unflatten(2, x.shape[2:])
        found[f"relu{stage}_{index}"] = x
    return found


@pytest.mark.parametrize("size", [(35, 50), (16, 50)])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_every_tap_is_what_the_steps_by_hand_give(
    pooling: Pooling, padding: Padding, size: tuple[int, int]
) -> None:
    whole, pictures = network(pooling).padded_by(padding), images(*size)
    expected = by_hand(whole, pictures, padding)
    found = whole(pictures, whole.taps)
    assert list(found) == list(expected)
    for tap, activation in found.items():
        torch.testing.assert_close(activation, expected[tap], rtol=1e-4, atol=1e-5)


def test_mirrored_at_the_border_a_flat_image_is_flat_in_every_layer_and_keeps_its_gradient_s_sum() -> None:
    whole = network().padded_by("reflect")
    flat = torch.full((1, 3, 33, 40), 0.7, requires_grad=True)
    for tap, activation in whole(flat, whole.taps).items():
        torch.testing.assert_close(activation, activation[:, :, :1, :1].expand_as(activation), msg=tap)
    activation = whole(flat, ["relu2_1"])["relu2_1"]
    (gradient,) = torch.autograd.grad(activation.mean(), flat)
    step = 1e-3
    up, down = (float(whole(flat.detach() + sign * step, ["relu2_1"])["relu2_1"].mean()) for sign in (1, -1))
    assert float(gradient.sum()) == pytest.approx((up - down) / (2 * step), rel=1e-2)


def test_another_padding_is_another_view_of_the_same_weights() -> None:
    whole, pictures = network(), images()
    before = whole(pictures, ["relu3_1"])["relu3_1"]
    mirrored = whole.padded_by("reflect")
    assert not torch.equal(mirrored(pictures, ["relu3_1"])["relu3_1"], before)
    # sets of images are compared with zeros around them: their distances must not move
    assert whole.padding == "zeros" and torch.equal(whole(pictures, ["relu3_1"])["relu3_1"], before)
    assert mirrored.digest == whole.digest
    assert mirrored.layers()[0].weight is whole.layers()[0].weight


@pytest.mark.parametrize("tap", ["relu1_1", "relu3_2", "relu5_2"])
def test_a_network_cut_after_a_tap_gives_what_the_whole_gives(tap: str) -> None:
    whole, cut = network(), network(last_tap=tap)
    assert torch.equal(cut(images(), [tap])[tap], whole(images(), whole.taps)[tap])
    assert cut.taps == whole.taps[: whole.taps.index(tap) + 1]
    assert len(cut.layers()) == len(cut.taps)
    assert sum(weight.numel() for weight in cut.parameters()) == sum(
        weight.numel() for layer in whole.layers()[: len(cut.taps)] for weight in layer.parameters()
    )


def test_no_layer_after_the_last_tap_asked_for_is_computed() -> None:
    whole, computed = network(), list[int]()
    for index, layer in enumerate(whole.layers()):
        layer.register_forward_hook(lambda *_, index=index: computed.append(index))
    assert list(whole(images(), ["relu2_1", "relu1_2"])) == ["relu1_2", "relu2_1"]
    assert computed == [0, 1, 2]


def test_asking_for_a_tap_changes_no_other() -> None:
    whole = network()
    alone, together = whole(images(), ["relu5_2"]), whole(images(), whole.taps)
    assert torch.equal(alone["relu5_2"], together["relu5_2"])


@settings(deadline=None, max_examples=25)
@given(st.integers(16, 70), st.integers(16, 70))
def test_a_stage_halves_rounding_down(height: int, width: int) -> None:
    whole = network()
    for tap, activation in whole(images(height, width, 1), whole.taps).items():
        stage = int(tap[4])
        assert activation.shape == (
            1,
            WIDTHS[stage - 1],
            height // 2 ** (stage - 1),
            width // 2 ** (stage - 1),
        )


def test_pooling_a_constant_keeps_it_and_of_a_pair_the_mean_or_the_larger() -> None:
    average, largest = network("average"), network("max")
    constant = torch.full((1, 1, 5, 4), 2.5)
    halves = torch.tensor([[0.0, 3.0], [0.0, 3.0]]).expand(1, 1, 2, 2)
    assert average.pool(constant).tolist() == largest.pool(constant).tolist() == [[[[2.5, 2.5], [2.5, 2.5]]]]
    assert average.pool(halves).item() == 1.5 and largest.pool(halves).item() == 3.0


def test_the_mean_colour_of_imagenet_is_zero_to_the_first_convolution() -> None:
    whole = network()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    bias = whole.state_dict()["convolutions.0.bias"]
    torch.testing.assert_close(whole(mean, ["relu1_1"])["relu1_1"][0, :, 7, 7], bias.clamp_min(0))


def test_a_gradient_reaches_the_images_alone() -> None:
    pictures = images().requires_grad_()
    network()(pictures, ["relu4_1"])["relu4_1"].sum().backward()
    assert pictures.grad is not None and bool(pictures.grad.abs().sum() > 0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (torch.zeros(1, 1, 32, 32), "(1, 1, 32, 32)"),
        (torch.zeros(3, 32, 32), "(3, 32, 32)"),
        (torch.zeros(1, 32, 32, 3), "(1, 32, 32, 3)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_images_of_another_shape_or_type_are_refused_in_one_line(wrong: torch.Tensor, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        network()(wrong, ["relu1_1"])
    assert named in str(caught.value) and "\n" not in str(caught.value)


def test_an_image_is_too_small_only_for_taps_that_leave_nothing_of_it() -> None:
    assert network()(images(7, 9), ["relu3_2"])["relu3_2"].shape[2:] == (1, 2)
    with pytest.raises(ConfigError, match="at least 8 pixels a side for relu4_1, not 7 x 9"):
        network()(images(7, 9), ["relu1_1", "relu4_1"])


@pytest.mark.parametrize("taps", [["relu6_1"], [], "relu1_1", ["relu3_2", "relu4_1"]])
def test_taps_that_there_are_not_are_refused_in_one_line(taps: list[str]) -> None:
    with pytest.raises(ConfigError, match="taps must be among relu1_1"):
        network(last_tap="relu3_2")(images(), taps)


def test_a_last_tap_that_there_is_not_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="not 'relu9_9'"):
        CompactNetwork(WIDTHS, last_tap="relu9_9")


def test_the_digest_is_that_of_weights_and_pooling() -> None:
    first, again, other = network(), network(), network("max")
    assert first.digest == again.digest != other.digest
    again.layers()[4].weight[0, 0, 0, 0] += 1e-3
    assert again.digest != first.digest


def test_values_that_are_not_finite_stay_visible() -> None:
    pictures = images(16, 16)
    pictures[0, 0, 8, 8] = torch.nan
    found = network()(pictures, ["relu5_2"])["relu5_2"]
    assert bool(found[0].isnan().any()) and bool(found[1].isfinite().all())
