"""The temporary folder of Ray's sockets, against the paths that the kernel accepts."""

import os
import socket

import pytest

from common.cluster.temp_folder import check_temp_folder
from common.errors import ConfigError


def _binds(path: str) -> bool:
    """Whether the kernel accepts the path of a socket; it need not exist."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(path)
        except OSError as error:
            return "too long" not in str(error)
    return True


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_is_refused_when_the_kernel_would_refuse_rays_socket(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    check_temp_folder()
    tail = f"/ray/session_2026-11-28_17-06-06_123456_{os.getpid()}/sockets/plasma_store"
    for length in range(20, 60):
        folder = "/" + "x" * (length - 1)
        monkeypatch.setenv(name, folder)
        if _binds(folder + tail):
            check_temp_folder()
            continue
        with pytest.raises(ConfigError, match=rf"{name} may have at most \d+ .* RAY_TMPDIR=/tmp") as caught:
            check_temp_folder()
        assert "\n" not in str(caught.value)
