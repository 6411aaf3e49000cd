"""The shipped features compared with the same network at random weights: the figures of its model card.

    python benchmarks/feature_worth.py CIFAR-10-FOLDER MNIST-ROOT ART-FOLDER

Accuracy of a linear probe on CIFAR-10 and MNIST, and Gram-matrix style transfer (Gatys et al. 2016, at one
size) of the art folder's first contents and styles: its style distance at layers that were not optimised, and
in a third network with other random weights. Prints one JSON object at the end.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from gan.config import DataConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.metrics.feature_distance import embed_all
from perceptual.embedding import CompactEmbedder
from perceptual.linear_probe import fit_probe
from perceptual.loading import FeatureNetwork, load_network
from perceptual.train.folding import rescale

SIDE_PX, ITERATIONS, PICTURES = 128, 200, 3
CONTENT_TAP = "relu4_1"
STYLE_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
HELD_OUT_TAPS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2")
STYLE_WEIGHT = 1e3
HELD_OUT_IMAGES = 5000


def networks(natural: torch.Tensor) -> dict[str, FeatureNetwork]:
    """The shipped network, and two with random weights rescaled to channels of mean 1 on natural pictures."""
    found = {"compact-1": load_network("compact", weights="compact-1")}
    for name, seed in (("random", 0), ("judge", 7)):
        found[name] = load_network("compact", weights=f"random:{seed}")
        rescale(found[name], natural)
    return found


def probe_accuracy(network: FeatureNetwork, images: Images) -> float:
    """On the held-out images, of a probe trained on the others."""
    embedder = CompactEmbedder(network, torch.device("cpu"))
    labels, held_out = (
        torch.from_numpy(np.array(each)) for each in (images.train_labels, images.held_out_labels)
    )
    probe = fit_probe(embed_all(embedder, images.train), labels, len(images.class_names), seed=0)
    return probe.accuracy(embed_all(embedder, images.held_out), held_out)


def picture(path: Path) -> torch.Tensor:
    """The central square, (1, 3, 128, 128) in [0, 1]."""
    with Image.open(path) as opened:
        square = ImageOps.fit(opened.convert("RGB"), (SIDE_PX, SIDE_PX))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255


def grams(network: FeatureNetwork, image: torch.Tensor, taps: Iterable[str]) -> list[torch.Tensor]:
    """Gram matrices (C, C) by tap, means over the positions."""
    found = network(image, taps)
    flat = [found[tap].flatten(2)[0] for tap in taps]
    return [each @ each.T / each.shape[1] for each in flat]


def distance(first: list[torch.Tensor], second: list[torch.Tensor]) -> torch.Tensor:
    """Mean over taps of the squared difference relative to the second's square: 0 for the style itself."""
    parts = [(a - b).square().sum() / b.square().sum() for a, b in zip(first, second, strict=True)]
    return torch.stack(parts).mean()


def stylized(network: FeatureNetwork, content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """The content stylized, by Adam on the pixels."""
    with torch.no_grad():
        wanted = grams(network, style, STYLE_TAPS)
        kept = network(content, [CONTENT_TAP])[CONTENT_TAP]
    canvas = content.clone().requires_grad_()
    optimizer = torch.optim.Adam([canvas], lr=0.02)
    for _ in range(ITERATIONS):
        found = network(canvas, [CONTENT_TAP])[CONTENT_TAP]
        loss = (found - kept).square().mean() + STYLE_WEIGHT * distance(
            grams(network, canvas, STYLE_TAPS), wanted
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            canvas.clamp_(0, 1)
    return canvas.detach()


@torch.no_grad()
def judged(image: torch.Tensor, style: torch.Tensor, known: dict[str, FeatureNetwork]) -> tuple[float, float]:
    """Style distance at the shipped network's held-out taps, and in the third network."""
    asked = ((known["compact-1"], HELD_OUT_TAPS), (known["judge"], STYLE_TAPS))
    return tuple(
        float(distance(grams(network, image, taps), grams(network, style, taps))) for network, taps in asked
    )


def main() -> None:
    """Measure and print."""
    cifar10, mnist, art = sys.argv[1:4]
    data = {
        "cifar10": load_images(DataConfig(source=cifar10, held_out=HELD_OUT_IMAGES)),
        "mnist": load_images(DataConfig(source="mnist", root=mnist, held_out=HELD_OUT_IMAGES)),
    }
    natural = torch.from_numpy(np.array(data["cifar10"].train[:1024])).permute(0, 3, 1, 2).float() / 255
    known = networks(natural)
    figures: dict[str, dict[str, float]] = {}
    for name in ("compact-1", "random"):
        figures[name] = {kind: probe_accuracy(known[name], images) for kind, images in data.items()}
        print(name, figures[name], flush=True)

    contents, styles = (
        [picture(path) for path in sorted(Path(art, kind).iterdir())[:PICTURES]]
        for kind in ("content", "style")
    )
    pairs = [(content, style) for content in contents for style in styles]
    for name in ("compact-1", "random"):
        made = [judged(stylized(known[name], content, style), style, known) for content, style in pairs]
        figures[name] |= dict(zip(("style_held_out", "style_judge"), np.mean(made, axis=0), strict=True))
    as_they_were = [judged(content, style, known) for content, style in pairs]
    figures["content"] = dict(
        zip(("style_held_out", "style_judge"), np.mean(as_they_were, axis=0), strict=True)
    )
    print(
        json.dumps({name: {k: round(float(v), 4) for k, v in each.items()} for name, each in figures.items()})
    )


if __name__ == "__main__":
    main()
