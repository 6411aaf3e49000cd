"""VGG-19 with torchvision's weights as a feature network."""

from collections.abc import Mapping

import torch

from perceptual.network import FeatureNetwork, Pooling, stage_of, tap_names
from perceptual.tensors import Tensors, check_tensors

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS_PER_STAGE = (2, 2, 4, 4, 4)
_FEATURES, _CLASSIFIER = "features.", "classifier."


def weights_url() -> str:
    """Where torchvision publishes the weights trained on ImageNet."""
    from torchvision.models import VGG19_Weights  # here: its import takes a second, in every worker

    url: str = VGG19_Weights.IMAGENET1K_V1.url
    return url


class Vgg19(FeatureNetwork):
    """The convolutions of VGG-19 (Simonyan and Zisserman 2015, configuration E), taps relu1_1 to relu5_4.

    Max pooling as published, or average pooling as Gatys et al. 2016, section 2, recommend for synthesis.
    """

    def __init__(self, *, pooling: Pooling = "max", last_tap: str | None = None) -> None:
        super().__init__(WIDTHS, CONVOLUTIONS_PER_STAGE, pooling=pooling, last_tap=last_tap)


def load_torchvision(network: Vgg19, tensors: Mapping[str, torch.Tensor], what: str) -> None:
    """Copy the convolutions of torchvision's state dict, complete or of `features` alone, into the network.

    All sixteen are checked, even if the network ends earlier, because VGG-16 begins like VGG-19. what: the
    subject of error messages: the file and what it should be.

    Raises: ConfigError when the names, shapes or values are not those of VGG-19.
    """
    features = _features(tensors)
    check_tensors(features, _shapes(), what)
    taps = tap_names(CONVOLUTIONS_PER_STAGE)
    with torch.no_grad():
        for tap, layer in zip(network.taps, network.layers(), strict=True):
            place = _place(taps.index(tap), tap)
            for part, own in layer.named_parameters():
                own.copy_(features[f"{place}.{part}"])


def _features(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors without the classifier's, and without the prefix in their names."""
    return {
        name.removeprefix(_FEATURES): tensor
        for name, tensor in tensors.items()
        if not name.startswith(_CLASSIFIER)
    }


def _shapes() -> Tensors:
    """Names and shapes of the tensors of `features`, on the meta device."""
    with torch.device("meta"):
        whole = Vgg19()
    named = zip(whole.taps, whole.layers(), strict=True)
    return {
        f"{_place(index, tap)}.{part}": parameter
        for index, (tap, layer) in enumerate(named)
        for part, parameter in layer.named_parameters()
    }


def _place(index: int, tap: str) -> int:
    # torchvision numbers a convolution and its ReLU as two layers and a pooling between stages as one
    return 2 * index + stage_of(tap) - 1
