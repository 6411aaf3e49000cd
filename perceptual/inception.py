"""Embedder with torch-fidelity's Inception, the FID's network; its weights are read without unpickling."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from common.device import exact_float32
from common.errors import ConfigError, require
from common.text import one_line
from perceptual.downloads import hub_file
from perceptual.pixels import check_pictures
from perceptual.tensors import Tensors, digest_of, read_tensors

if TYPE_CHECKING:  # importing it takes a second, which every training worker would spend
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

_VERSION = 1  # of the steps from pixels to vectors; a change invalidates cached vectors
_BATCH = 32  # at 299 x 299 about 0.2 GB
_LAYER = "2048"


class InceptionEmbedder:
    """The 2048 features before the logits of the 2015 Inception, which define the FID (Heusel et al. 2017).

    Images of any size are resized to 299 x 299 as TensorFlow 1 did it; grey is repeated. Always float32.
    """

    name = "inception"
    length = 2048

    def __init__(self, extractor: "FeatureExtractorInceptionV3", device: torch.device) -> None:
        self._extractor, self._device = extractor.to(device), device
        self.digest = digest_of(extractor.state_dict())
        self.identity = f"{self.name}-{self.digest[:16]}-v{_VERSION}"
        self.key = f"{self.name}-{self.digest}-v{_VERSION}-fp32"

    @torch.no_grad()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors float32 (N, 2048) on the embedder's device, for uint8 (N, H, W, C) with C 1 or 3.

        Raises: ConfigError for images of another type or shape.
        """
        check_pictures(images)
        parts = [self._embed(part) for part in images.split(_BATCH) if len(part)]
        return torch.cat(parts) if parts else torch.empty(0, self.length, device=self._device)

    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        pictures = images.to(self._device).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        # published distances are float32: ignore the caller's autocast, and TF32 on a GPU
        with torch.autocast(self._device.type, enabled=False), exact_float32():
            features: torch.Tensor = self._extractor(pictures)[0]
        return features


def load_inception(weights: str | None = None, device: torch.device | str = "cpu") -> InceptionEmbedder:
    """The Inception that published FIDs were measured with, in evaluation mode, frozen.

    weights: a .pth or .safetensors file with the tensors of torch-fidelity's
    weights-inception-2015-12-05-6726825d.pth; default: torch.hub's cache, then the download.

    Raises: ConfigError when the weights are missing, damaged or of another network, and for a device
    that is not available.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    path = Path(weights) if weights is not None else hub_file(URL_INCEPTION_V3, "FID's Inception")
    extractor = _extractor(read_tensors(path), path)
    try:
        return InceptionEmbedder(extractor, torch.device(device))
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        reason = one_line(error)
        raise ConfigError(f"the device {device} cannot be used ({reason}); try cpu") from None


def _extractor(tensors: Tensors, path: Path) -> "FeatureExtractorInceptionV3":
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # The constructor unpickles a file or downloads one. It gets bytes that were written here from tensors
    # alone, so that no untrusted file is unpickled.
    checked = io.BytesIO()
    torch.save(tensors, checked)
    checked.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):
            extractor = FeatureExtractorInceptionV3(
                "inception-v3-compat", [_LAYER], feature_extractor_weights_path=checked
            )
    except RuntimeError as error:
        reason = one_line(error)
        raise ConfigError(
            f"the weights file {path} is not torch-fidelity's Inception ({reason[:160]}); give another file"
        ) from None
    broken = [name for name, tensor in extractor.state_dict().items() if not torch.isfinite(tensor).all()]
    require(not broken, f"the weights file {path}: {', '.join(broken[:1])} is not finite; give another file")
    return extractor
