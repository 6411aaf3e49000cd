"""The formats of exported generators, by name.

The flags name them, so that nothing here may import PyTorch; the functions may.
"""

from pathlib import Path
from typing import Literal

from common.errors import require
from common.extras import require_package
from gan.export import onnx_file, torch_program
from gan.export.format import Format

ExportFormat = Literal["onnx", "torch"]
FORMATS: dict[ExportFormat, Format] = {"onnx": onnx_file.FORMAT, "torch": torch_program.FORMAT}
EXTRA = "export"
"""The extra of this project that installs what formats need."""


def check_packages(name: ExportFormat) -> None:
    """Raise `ConfigError`, naming the extra, when a format's packages are not installed."""
    for package in FORMATS[name].packages:
        require_package(package, flag=f"--format {name}", extra=EXTRA)


def check_out(out: str | None, name: ExportFormat) -> Path:
    """The file to write.

    Raises: ConfigError when its ending is not the format's.
    """
    suffix = FORMATS[name].suffix
    path = Path(out or f"generator{suffix}")
    require(
        path.suffix == suffix,
        f"--out must end in {suffix} with --format {name}, not {path.suffix or 'without an ending'}; "
        f"try {path.with_suffix(suffix)}",
    )
    return path
