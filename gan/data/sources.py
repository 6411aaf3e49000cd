"""From `--data` to a source of pictures."""

import zipfile
from pathlib import Path

from common.errors import require
from gan.config import NAMED_SOURCES, DataConfig
from gan.data import shapes
from gan.data.folders import folder_source, zip_source
from gan.data.picture_list import PictureList, Source, Square
from gan.data.torchvision_sets import celeba_source, cifar10_source, idx_source


def find_source(config: DataConfig, cache: Path) -> Source:
    """The source that `--data` names, its files listed.

    Raises: ConfigError when it does not exist, is neither folder nor zip, or has no pictures.
    """
    root = Path(config.root).expanduser().absolute() if config.root else cache / "torchvision"
    match config.source:
        case "shapes":
            return _shapes_source(config)
        case "mnist":
            return idx_source(config, root, "MNIST")
        case "fashion-mnist":
            return idx_source(config, root, "FashionMNIST")
        case "cifar10":
            return cifar10_source(config, root)
        case "celeba":
            return celeba_source(config, root)
        case _:
            return _path_source(config)


def _path_source(config: DataConfig) -> Source:
    path = Path(config.source).expanduser().absolute()
    try:
        is_there, reason = path.exists(), "does not exist"
    except OSError as error:  # a name too long, a parent that may not be entered
        is_there, reason = False, f"cannot be reached ({error.strerror})"
    require(
        is_there,
        f"--data must be {', '.join(NAMED_SOURCES)}, or a folder or zip of pictures, but {path} {reason}; "
        "check the path",
    )
    if path.is_dir():
        return folder_source(path, config.max_images)
    require(
        path.is_file() and zipfile.is_zipfile(path),
        f"--data must name a folder or a zip of pictures, but {path} is neither; "
        "give the folder that contains it",
    )
    return zip_source(path, config.max_images)


def _shapes_source(config: DataConfig) -> Source:
    count = config.max_images or shapes.DEFAULT_COUNT

    def read(start: int, stop: int, resolution: int) -> list[Square | str]:
        return list(shapes.render_shapes(start, stop, resolution=resolution, seed=config.data_seed))

    pictures = PictureList(
        names=[f"shape {i}" for i in range(count)],
        read=read,
        labels=shapes.labels_of(0, count),
        class_names=shapes.CLASS_NAMES,
    )
    return Source(identity=f"shapes {shapes.RENDERING_VERSION}", files={}, open=lambda: pictures)
