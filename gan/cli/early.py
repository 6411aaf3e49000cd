"""Checks of a command that need neither PyTorch nor Ray, whose imports take seconds: made before them."""

from common.cluster.address import check_address
from common.errors import require
from common.storage.folder import Folder
from common.storage.reach import check_reachable
from gan.cli.flags import Describe, Export, GanCommand, Report, Train
from gan.config_file import CONFIG_FILE, with_absolute_paths
from gan.data.sources import check_there
from gan.export.formats import check_out, check_packages
from gan.generator_file import find_generator
from gan.networks import family_of


def check_early(command: GanCommand) -> None:
    """Raise `ConfigError` where the command names what does not exist, or what may not be overwritten."""
    if isinstance(command, Report):
        check_reachable(command.directory, flag="the run's folder")
        return
    if isinstance(command, Describe):
        command.gan.check_workers(command.workers)
        return
    if isinstance(command, Export):
        check_out(command.out, command.format)
    if not isinstance(command, Train):
        find_generator(command.checkpoint)
        if isinstance(command, Export):
            check_packages(command.format)
        return
    check_address(command.address)
    check_reachable(command.resume or command.storage, flag="--resume" if command.resume else "--storage")
    config = with_absolute_paths(command.gan)
    family_of(config.network, config.data.resolution)
    if command.resume is None:
        config.check_workers(command.workers or 1)
    if command.resume is None and command.name is not None:
        refuse_existing(Folder(command.storage).child(command.name), command.name)
    check_there(config.data)


def refuse_existing(folder: Folder, name: str) -> None:
    """Raise `ConfigError` when a run is in the folder already."""
    require(
        folder.read(CONFIG_FILE) is None,
        f"--name {name}: {folder.location} holds a run already; choose another name, "
        "or resume it with --resume",
    )
