"""Names of a tick's numbers in groups, so that a tracker shows together what belongs together."""

from collections.abc import Mapping

_PLAYERS = ("generator_", "discriminator_", "accuracy_", "augment_")
_SPEED = ("train_s", "evaluate_s", "images_per_s", "step")
# what verdicts are read from besides the players' numbers
_HEALTH = ("discriminator_margin", "discriminator_overfit", "generator_gradient", "discriminator_gradient")


def in_groups(row: Mapping[str, float], objective: str) -> dict[str, float]:
    """The numbers of a tick under the names `<group>/<name>`; what has a group already keeps it.

    Groups: `objective` (with its noise floor), `players`, `health` (variety and copies, traces of broken
    images, and what else verdicts are read from), `noise` (noise floors of what is in `health`), `speed`.
    A sweep adds `confirmed`: what its best states got when they were measured again.
    """
    return {named(name, objective): value for name, value in row.items() if name != "images_seen"}


def named(name: str, objective: str) -> str:
    """`objective/fd_lite0_1k` for the objective fd_lite0_1k."""
    if "/" in name:
        return name
    return f"{_group(name, objective)}/{name}"


def _group(name: str, objective: str) -> str:
    if name == objective or name == f"{objective}_noise":
        return "objective"
    if name in _SPEED:
        return "speed"
    if name.startswith(_PLAYERS) and name not in _HEALTH:
        return "players"
    return "noise" if name.endswith("_noise") else "health"
