"""From `--data` to a source of pictures: a known data set, a folder, an archive, a URL."""

import dataclasses
from pathlib import Path

from common.errors import require
from common.storage.reach import check_reachable
from gan.config import NAMED_SOURCES, DataConfig
from gan.data import shapes
from gan.data.cache import cache_folder
from gan.data.decode import Framing, Squares
from gan.data.folders import folder_source
from gan.data.picture_list import PictureList, Source
from gan.data.sources.archives import archive_source, is_archive, why_not
from gan.data.sources.remote import is_url, url_source
from gan.data.sources.stacked import stacked_source
from gan.data.sources.torchvision_sets import celeba_source, cifar10_source, idx_source


def find_source(config: DataConfig, cache: Path) -> Source:
    """The source that `--data` names, its files listed.

    Raises: ConfigError when it does not exist, is neither folder nor archive, or has no pictures.
    """
    root = Path(config.root).expanduser().absolute() if config.root else cache / "torchvision"
    match config.source:
        case "shapes":
            return _shapes_source(config)
        case "mnist":
            return idx_source(config, root, "MNIST")
        case "fashion-mnist":
            return idx_source(config, root, "FashionMNIST")
        case "stacked-mnist":
            every_digit = dataclasses.replace(config, max_images=None)
            return stacked_source(config, idx_source(every_digit, root, "MNIST"))
        case "cifar10":
            return cifar10_source(config, root)
        case "celeba":
            return celeba_source(config, root)
        case _:
            return _path_source(config)


def check_there(config: DataConfig) -> None:
    """Raise `ConfigError` when `--data` names nothing that can be read; its pictures are not listed."""
    if is_url(config.source):
        check_reachable(config.source, flag="--data")
    elif config.source not in NAMED_SOURCES:
        _checked_path(config)
    elif config.source != "celeba" and not config.download:
        find_source(config, cache_folder(config))


def _checked_path(config: DataConfig) -> Path:
    """The folder or archive that `--data` names.

    Raises: ConfigError when it does not exist or is neither.
    """
    path = Path(config.source.removeprefix("file://")).expanduser().absolute()
    try:
        is_there, reason = path.exists(), "does not exist"
    except OSError as error:  # a name too long, a parent that may not be entered
        is_there, reason = False, f"cannot be reached ({error.strerror})"
    require(
        is_there,
        f"--data must be {', '.join(NAMED_SOURCES)}, or a folder, zip, tar or URL of pictures, but {path} "
        f"{reason}; check the path",
    )
    require(
        path.is_dir() or (path.is_file() and is_archive(path)),
        f"--data must name a folder, a zip or a tar of pictures, but {path} is neither; {why_not(path)}",
    )
    return path


def _path_source(config: DataConfig) -> Source:
    if is_url(config.source):
        return url_source(config.source, config.max_images)
    path = _checked_path(config)
    return (folder_source if path.is_dir() else archive_source)(path, config.max_images)


def _shapes_source(config: DataConfig) -> Source:
    count = config.max_images or shapes.DEFAULT_COUNT

    def read(start: int, stop: int, framing: Framing) -> list[Squares | str]:
        rendered = shapes.render_shapes(start, stop, resolution=framing.resolution, seed=config.data_seed)
        return [Squares(shape[None]) for shape in rendered]

    pictures = PictureList(
        names=[f"shape {i}" for i in range(count)],
        read=read,
        labels=shapes.labels_of(0, count),
        class_names=shapes.CLASS_NAMES,
    )
    return Source(identity=f"shapes {shapes.RENDERING_VERSION}", files={}, open=lambda: pictures)
