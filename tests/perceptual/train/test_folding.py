"""BatchNorm folded away and channels brought to mean 1, against the network as it was."""

import pytest
import torch
from torch import nn

from perceptual.network import CompactNetwork, Pooling
from perceptual.train.folding import Classifier, folded, rescale
from perceptual.vgg import Vgg19

WIDTHS = (4, 5, 6, 7, 8)


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """As after some training: BatchNorm far from what it begins with."""
    torch.manual_seed(0)
    made = Classifier(5)
    for _, _, norm in made.blocks():
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.3)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_(0, 0.5)
        norm.running_var.uniform_(0.2, 4)
    return made.eval()


def test_folding_changes_no_activation(classifier: Classifier) -> None:
    expected = dict[str, torch.Tensor]()
    for tap, _, norm in classifier.blocks():
        norm.register_forward_hook(lambda _, __, output, tap=tap: expected.update({tap: output.clamp_min(0)}))
    with torch.no_grad():
        logits = classifier(images(3))
        network = folded(classifier)
        found = network(images(3), network.taps)
    assert len(expected) == len(found) == 10
    for tap, activation in found.items():
        scale = expected[tap].abs().max()
        torch.testing.assert_close(activation / scale, expected[tap] / scale, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        classifier.head(found["relu5_2"].mean(dim=(2, 3))), logits, rtol=1e-4, atol=1e-4
    )


def test_a_classifier_is_no_more_than_its_parts(classifier: Classifier) -> None:
    convolutions = sum(layer.weight.numel() for layer in classifier.plain.layers())
    norms = sum(2 * width for width in (32, 64, 128, 256, 320) for _ in range(2))
    assert sum(weight.numel() for weight in classifier.parameters()) == convolutions + norms + 320 * 5 + 5


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("batch", [7, 64, 1000])
def test_rescaling_gives_every_channel_mean_one(pooling: Pooling, batch: int) -> None:
    torch.manual_seed(1)
    network, pictures = CompactNetwork(WIDTHS, pooling=pooling), images(150)
    for layer in network.layers():
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 0.3)  # so that every channel is active somewhere
    rescale(network, pictures, batch=batch)
    with torch.no_grad():
        found = network(pictures, network.taps)
    for tap, activation in found.items():
        mean = activation.double().mean(dim=(0, 2, 3))
        assert bool(((mean - 1).abs() < 1e-4).all()), tap


def test_rescaling_multiplies_each_tap_by_factors_and_changes_nothing_else() -> None:
    torch.manual_seed(1)
    network, pictures, others = CompactNetwork(WIDTHS), images(60), images(9).flip(3) ** 2
    with torch.no_grad():
        before = network(others, network.taps)
        means = {tap: x.mean(dim=(0, 2, 3)) for tap, x in network(pictures, network.taps).items()}
        rescale(network, pictures, batch=16)
        after = network(others, network.taps)
    for tap, activation in before.items():
        factors = torch.where(means[tap] > 1e-3 * means[tap].max(), means[tap], 1.0).view(1, -1, 1, 1)
        torch.testing.assert_close(after[tap] * factors, activation, rtol=1e-3, atol=1e-5)


def test_rescaling_twice_is_rescaling_once() -> None:
    torch.manual_seed(1)
    network = CompactNetwork(WIDTHS)
    rescale(network, images(40))
    once = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rescale(network, images(40))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, once[name], rtol=1e-4, atol=1e-6)


def test_a_channel_that_is_never_active_keeps_its_weights_and_nothing_becomes_infinite() -> None:
    torch.manual_seed(1)
    network = CompactNetwork(WIDTHS)
    first = network.layers()[0]
    with torch.no_grad():
        assert first.bias is not None
        first.weight[2], first.bias[2] = 0, -1
    rescale(network, images(20))
    assert first.weight[2].abs().sum() == 0 and first.bias[2] == -1
    assert all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


def test_a_cut_network_is_rescaled_as_the_whole_is() -> None:
    torch.manual_seed(1)
    whole = CompactNetwork(WIDTHS)
    cut = CompactNetwork(WIDTHS, last_tap="relu2_1")
    cut.load_state_dict({name: whole.state_dict()[name] for name in cut.state_dict()})
    rescale(whole, images(20))
    rescale(cut, images(20))
    for name, tensor in cut.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name])


def test_vgg_is_rescaled_too() -> None:
    torch.manual_seed(1)
    network = Vgg19(last_tap="relu2_1")
    rescale(network, images(10))
    with torch.no_grad():
        mean = network(images(10), ["relu2_1"])["relu2_1"].double().mean(dim=(0, 2, 3))
    assert bool(((mean - 1).abs() < 1e-4)[mean > 0.5].all()) and int((mean > 0.5).sum()) > 32
