"""Unpacks the pictures that benchmarks are measured on."""

import tarfile
from pathlib import Path


def unpacked(source: Path) -> Path:
    """The folder of class folders; an archive is unpacked into the cache once."""
    archive = source / "train.tar.xz"
    if not archive.exists():
        return source
    target = Path.home() / ".cache" / "artsweep" / "benchmark-cifar10"
    if not target.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
    return next(
        path for path in sorted(target.rglob("*")) if path.is_dir() and len(list(path.iterdir())) == 10
    )
