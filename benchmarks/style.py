"""Speed and memory of style transfer over folders, each figure beside its baseline of the same run.

    python benchmarks/style.py [ART-FOLDER]

ART-FOLDER: pictures in `content` and `style` (by default the one beside the checkout). It measures one pair
against a plain L-BFGS loop, with the compact network and with VGG-19 at random weights; a product of folders
against one program per pair; two workers against one; the overhead of a batch over the optimization; and
memory against the number of pairs. Takes a quarter of an hour on 2 cores. Prints one JSON object at the end.
"""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import ray
import torch
from PIL import Image
from plain_style import plain_lbfgs

from common.cluster.session import start_ray
from perceptual.loading import FeatureNetwork, load_network
from styletransfer.__main__ import main as styletransfer
from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import read_picture
from styletransfer.transfer import stylize

ART = Path(__file__).parents[2] / "shared" / "data" / "art"
SIDE_PX, EVALUATIONS = 256, 300
PAIRS = (
    ("cornell.jpg", "starry_night.jpg"),
    ("tubingen.png", "udnie.jpg"),
    ("lion.jpg", "woman_with_hat.jpg"),
)
# The baseline of a batch: a program that reads, stylizes and writes one pair, on all cores.
SINGLE = "import sys; from styletransfer import stylize; stylize(*sys.argv[1:3], size=256).save(sys.argv[3])"


def race(network: FeatureNetwork, art: Path, pairs: int, **settings: str) -> tuple[float, float]:
    """Mean seconds on one core, ours and plain, to reach the final style loss of the plain loop.

    Both optimize the same objective with 300 evaluations; ours is infinite if it does not reach that loss.
    """
    config = StyleConfig(
        size=SIDE_PX,
        iterations=EVALUATIONS,
        statistics="gram",  # as the plain loop
        **settings,  # type: ignore[arg-type]
    )
    seconds = []
    for content, style in PAIRS[:pairs]:
        pictures = [
            read_picture(art / "content" / content).on_white(),
            read_picture(art / "style" / style).on_white(),
        ]
        goal, plain_s = plain_lbfgs(*pictures, config, network.padded_by("reflect"), EVALUATIONS)
        ours_s = seconds_to(goal, pictures, config, network)
        print(
            f"{content} in {style}: plain {plain_s:.1f} s to style loss {goal:.5f}, ours {ours_s:.1f} s",
            flush=True,
        )
        seconds.append((ours_s, plain_s))
    ours, plain = np.mean(seconds, axis=0)
    return float(ours), float(plain)


def seconds_to(
    goal: float, pictures: list[np.ndarray], config: StyleConfig, network: FeatureNetwork
) -> float:
    """Seconds of ours, starting from the pictures, until the style loss at full size reaches `goal`."""
    began, reached = time.monotonic(), list[float]()

    def watch(now: stylize.Progress) -> None:
        if now.scale == now.scales - 1 and now.losses["style"] <= goal:
            reached.append(time.monotonic() - began)

    stylize.stylize(*pictures, config, network=network, on_step=watch)
    return reached[0] if reached else float("inf")


def product_and_singles(art: Path, out: Path) -> tuple[float, float]:
    """Seconds for 5 x 5 pairs as one command, and as one program per pair, each on all cores."""
    began = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "styletransfer",
        str(art / "content"),
        str(art / "style"),
        str(out / "product"),
    ]
    subprocess.run([*command, "--size", str(SIDE_PX)], check=True, stdout=subprocess.DEVNULL)
    product = time.monotonic() - began
    began = time.monotonic()
    for content in sorted((art / "content").iterdir()):
        for style in sorted((art / "style").iterdir()):
            target = out / f"{content.stem}__{style.stem}.png"
            subprocess.run([sys.executable, "-c", SINGLE, content, style, target], check=True)
    return product, time.monotonic() - began


def batch_with(workers: int, art: Path, root: Path) -> tuple[float, float]:
    """Seconds for 5 x 4 pairs by one-core workers, which two can share evenly, and their idle share."""
    styles = root / "four"
    styles.mkdir(exist_ok=True)
    for style in sorted((art / "style").iterdir())[:4]:
        shutil.copy(style, styles)
    start_ray(None, num_cpus=workers)
    try:
        said = io.StringIO()
        began = time.monotonic()
        with contextlib.redirect_stdout(said):
            places = [art / "content", styles, root / f"by-{workers}"]
            styletransfer([*map(str, places), "--size", str(SIDE_PX)])
        seconds = time.monotonic() - began
    finally:
        ray.shutdown()
    [busy] = re.findall(r"([0-9.]+)% up to the last pair", said.getvalue())
    return seconds, 1 - float(busy) / 100


def peak_mib(styles: int, root: Path) -> float:
    """Peak memory of all processes of a command with 20 x `styles` tiny pairs, in MiB."""
    random = np.random.default_rng(0)
    for name, count in (("photos", 20), (f"paintings{styles}", styles)):
        (root / name).mkdir(exist_ok=True)
        for index in range(count):
            pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    places = [root / "photos", root / f"paintings{styles}", root / f"out{styles}"]
    quick = ["--size", "32", "--iterations", "3", "--workers", "2"]
    command = [sys.executable, "-m", "styletransfer", *map(str, places), *quick]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(pss_mib(pid) for pid in family(process.pid)))
            time.sleep(0.5)
    return peak


def family(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def pss_mib(pid: int) -> float:
    """Proportional set size of a process: shared memory is divided among those who share it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Measure and print."""
    art = Path(sys.argv[1]) if len(sys.argv) > 1 else ART
    torch.set_num_threads(1)
    ours, plain = race(load_network("compact"), art, len(PAIRS))
    vgg = load_network("vgg19", weights="random:0", last_tap="relu4_1")
    ours_vgg, plain_vgg = race(vgg, art, 1, features="vgg19", weights="random:0")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        product, singles = product_and_singles(art, root)
        one, _ = batch_with(1, art, root)
        two, overhead = batch_with(2, art, root)
        few, many = (peak_mib(styles, root) for styles in (5, 50))
    figures = {
        "ours_s": ours,
        "plain_s": plain,
        "plain_over_ours": plain / ours,
        "vgg19_ours_s": ours_vgg,
        "vgg19_plain_s": plain_vgg,
        "vgg19_plain_over_ours": plain_vgg / ours_vgg,
        "product_s": product,
        "singles_s": singles,
        "product_over_singles": product / singles,
        "two_workers_speedup": one / two,
        "overhead": overhead,
        "peak_mib_100_pairs": few,
        "peak_mib_1000_pairs": many,
    }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
