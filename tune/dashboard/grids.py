"""The grids of a sweep's trials as artifacts of its study, read where they are."""

import io
import json
import threading
import uuid
from typing import BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from common.errors import ConfigError
from common.storage.folder import Folder
from common.throttle import Throttle
from tune.records.grids import grid_name, grid_places

SECONDS_BETWEEN_LISTINGS = 5.0
_SHARE_OF_TIME = 0.1
_ATTRIBUTE = "artifacts:"  # under which Optuna keeps what it knows of an artifact


class GridArtifacts:
    """An artifact store of Optuna with the grids in a sweep's folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._attributes: dict[int, dict[str, str]] = {}
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._throttle = Throttle(SECONDS_BETWEEN_LISTINGS, _SHARE_OF_TIME)

    def attributes(self, number: int) -> dict[str, str]:
        """The system attributes that attach a trial's grids to it."""
        with self._lock:
            if self._throttle.is_due():
                with self._throttle.timed():
                    self._list()
            return self._attributes.get(number, {})

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """A grid's content.

        Raises: ArtifactNotFound when there is none of this id any more.
        """
        with self._lock:
            name = self._names.get(artifact_id)
        data = self._folder.read(name) if name is not None else None
        if data is None:
            raise ArtifactNotFound(f"there is no grid {artifact_id}")
        return io.BytesIO(data)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Nothing is ever written.

        Raises: ConfigError.
        """
        raise ConfigError("the dashboard only shows a sweep; nothing can be added to it")

    def remove(self, artifact_id: str) -> None:
        """Nothing is ever removed.

        Raises: ConfigError.
        """
        raise ConfigError("the dashboard only shows a sweep; nothing can be removed from it")

    def _list(self) -> None:
        for number, places in grid_places(self._folder).items():
            names = {images: grid_name(number, images) for images in places}
            self._names |= {_id(name): name for name in names.values()}
            digits = len(str(max(places)))  # the dashboard sorts by name
            self._attributes[number] = {
                f"{_ATTRIBUTE}{_id(name)}": _described(_id(name), f"{images:0{digits}d} images.webp")
                for images, name in names.items()
            }


def _id(name: str) -> str:
    # the dashboard takes hexadecimal digits and dashes alone
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _described(artifact_id: str, filename: str) -> str:
    return json.dumps(
        {"artifact_id": artifact_id, "filename": filename, "mimetype": "image/webp", "encoding": None}
    )
