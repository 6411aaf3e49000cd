"""Published weights in torch.hub's cache, downloaded if they are missing."""

import http.client
from pathlib import Path, PurePosixPath

import torch

from common.errors import ConfigError
from common.text import one_line


def hub_path(url: str) -> Path:
    """Path of a URL's file in torch.hub's cache: below $TORCH_HOME, else ~/.cache/torch."""
    return Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(url).name


def hub_file(url: str, what: str) -> Path:
    """Path of a URL's file in torch.hub's cache; a missing file is downloaded, with progress on stderr.

    The download is checked by the hash in its name and written atomically. what: what errors call the
    weights.

    Raises: ConfigError, with the remedies, when the file is missing and cannot be downloaded.
    """
    path = hub_path(url)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        prefix = path.stem.rpartition("-")[2]
        torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        reason = one_line(error)
        raise ConfigError(
            f"the weights of {what} are not on this machine and cannot be downloaded ({reason}); allow the "
            f"download, or get {url} elsewhere and put it at {path} or name it by --weights (in a GAN's "
            "settings --metric-weights)"
        ) from None
    return path
