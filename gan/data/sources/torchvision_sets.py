"""The training parts of MNIST, FashionMNIST, CIFAR-10 and CelebA, which torchvision downloads.

They are read without unpickling, except CIFAR-10, whose files are compared with their published MD5 first.
"""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.errors import ConfigError, require
from common.text import one_line
from gan.config import DataConfig
from gan.data.decode import Framing, Squares
from gan.data.folders import CIFAR_FOLDER, IDX_FILES, folder_source
from gan.data.picture_list import PictureList, Source, even_indices


def idx_source(config: DataConfig, root: Path, name: str) -> Source:
    """MNIST or FashionMNIST from `root`/name/raw or `root`, gunzipped or not, without torchvision's reader.

    Raises: ConfigError when it is absent, and, when it is opened, if it is damaged.
    """
    folder = root / name / "raw"
    if not folder.is_dir() and any((root / f"{IDX_FILES[0]}{end}").is_file() for end in ("", ".gz")):
        folder = root  # as other programs unpack them
    parts = dict(zip(("images", "labels"), IDX_FILES, strict=True))

    def find() -> dict[str, Path]:
        either = {part: (folder / file, folder / f"{file}.gz") for part, file in parts.items()}
        return {part: path for part, paths in either.items() for path in paths[::-1] if path.is_file()}

    if len(find()) < 2:
        _download(config, root, name, {})
    files = find()
    require(len(files) == 2, f"--data {config.source} is not in {folder}; add --download or set --data-root")

    def open_arrays() -> PictureList:
        from torchvision import datasets  # slow to import, and needed only on the first start

        images, labels = _read_idx(files["images"], 3), _read_idx(files["labels"], 1)
        class_names = tuple(getattr(datasets, name).classes)
        require(
            len(images) == len(labels) > 0 and int(labels.max()) < len(class_names),
            f"--data {config.source}: images and labels in {folder} do not belong together; "
            "remove them and use --download",
        )
        return _from_arrays(images, labels.astype(np.int64), class_names, config.max_images)

    return Source(identity=name, files=files, open=open_arrays)


def cifar10_source(config: DataConfig, root: Path) -> Source:
    """CIFAR-10 from `root`/cifar-10-batches-py.

    Raises: ConfigError when it is absent, and, when it is opened, if it differs from the published files.
    """
    folder = root / CIFAR_FOLDER
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]

    def is_complete() -> bool:
        return all((folder / name).is_file() for name in names)

    if not is_complete():
        _download(config, root, "CIFAR10", {})
    require(is_complete(), f"--data cifar10 is not in {folder}; add --download or set --data-root")

    def open_arrays() -> PictureList:
        from torchvision.datasets import CIFAR10

        # The files are pickles. torchvision's constructor runs _check_integrity, which compares each with its
        # published MD5, before it unpickles anything, and raises RuntimeError otherwise. Pickles from any
        # other place are thus refused, not run; do not replace this by another way of reading them.
        try:
            published = CIFAR10(str(root), train=True, download=False)
        except RuntimeError:
            raise ConfigError(
                f"--data cifar10 must be the published files, but those in {folder} differ; "
                "remove them and use --download"
            ) from None
        labels = np.array(published.targets, dtype=np.int64)
        return _from_arrays(published.data, labels, tuple(published.classes), config.max_images)

    return Source(identity="CIFAR10", files={name: folder / name for name in names}, open=open_arrays)


def celeba_source(config: DataConfig, root: Path) -> Source:
    """The aligned CelebA faces in `root`/celeba/img_align_celeba, without labels.

    Raises: ConfigError when they are absent.
    """
    folder = root / "celeba" / "img_align_celeba"
    if not folder.is_dir():
        _download(config, root, "CelebA", {"split": "all"})
    require(folder.is_dir(), f"--data celeba is not in {folder}; add --download or set --data-root")
    return folder_source(folder, config.max_images)


def _download(config: DataConfig, root: Path, name: str, options: dict[str, Any]) -> None:
    if not config.download:
        return
    from torchvision import datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        getattr(datasets, name)(str(root), download=True, **options)
    except (RuntimeError, OSError, ImportError) as error:  # no network, no room, gdown missing
        reason = one_line(error)
        raise ConfigError(
            f"--data {config.source} could not be downloaded ({reason}); put it into {root} by hand"
        ) from None


def _read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """An array of unsigned bytes in the idx format (LeCun, "The MNIST database"), gzipped or not."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content: bytes = file.read()
        magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
        values = np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions))
        if magic != 0x0800 + dimensions or values.size != np.prod(shape):
            raise ValueError("not the idx format")
    except (OSError, EOFError, struct.error, ValueError) as error:
        raise ConfigError(f"{path} is damaged ({error}); remove it and use --download") from None
    return values.reshape(shape)


def _from_arrays(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    class_names: tuple[str, ...],
    limit: int | None,
) -> PictureList:
    keep = even_indices(len(images), limit)

    def read(start: int, stop: int, framing: Framing) -> list[Squares | str]:
        # that these pictures have few pixels is known: none is counted as enlarged
        pictures = (Image.fromarray(images[i]) for i in keep[start:stop])
        return [Squares(framing.squares(picture, 0).pixels) for picture in pictures]

    return PictureList([f"image {i}" for i in keep], read, labels[keep], class_names)
