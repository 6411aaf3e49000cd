"""What identifies a folder's runs in trackers: a text of its own, kept in the folder."""

import json
import uuid

from common.storage.folder import Folder, parse_json

FILE = "tracking.json"


def identity_of(folder: Folder) -> str:
    """The text that identifies the runs of a folder, also when it was moved; written at the first call.

    A path would not do: a new run may have the name of one that was removed.

    Raises: ConfigError when the file is broken, WriteError when it cannot be written.
    """
    data = folder.read(FILE)
    found = parse_json(data, folder.path(FILE)).get("identity") if data is not None else None
    if isinstance(found, str) and found.isalnum():
        return found
    identity = uuid.uuid4().hex[:16]
    folder.write(FILE, (json.dumps({"identity": identity}) + "\n").encode())
    return identity
