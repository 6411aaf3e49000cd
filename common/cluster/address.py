"""Checks where Ray is to run, as far as that needs no Ray, whose import takes seconds."""

import re
import socket

from common.cluster.temp_folder import check_temp_folder
from common.errors import ConfigError, require
from common.text import one_line


def check_address(address: str | None) -> None:
    """Raise `ConfigError` where Ray can be neither joined at `address` nor, for None, started here.

    address: host:port, where something must answer within ten seconds; or auto, which only Ray can find.
    """
    if address is None:
        check_temp_folder()
        return
    require(
        "://" not in address,
        f"--address must be host:port or auto, not {address!r}; run the command on a machine of the cluster",
    )
    require(
        address == "auto" or re.fullmatch(r"\S+:\d{1,5}", address) is not None,
        f"--address must be host:port or auto, not {address!r}; see `ray status` for the head's address",
    )
    if address != "auto":
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=10):
                pass
        except (OSError, OverflowError) as error:
            raise not_a_cluster(address, error) from None


def not_a_cluster(address: str, error: BaseException) -> ConfigError:
    """The answer where joining Ray at `address` ended in `error`."""
    return ConfigError(
        f"--address {address} is not a Ray cluster that can be reached ({one_line(error)}); "
        "see `ray status`, set RAY_AUTH_MODE=token if it asks for a token, "
        "or leave --address out to start Ray here"
    )
