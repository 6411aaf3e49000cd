"""Says in lines what a plan will do with the pictures that are already there."""

from collections.abc import Iterator
from typing import Any

from common.errors import ConfigError
from common.text import counted, printable
from styletransfer.pictures.writing import read_settings
from styletransfer.planning.plan import BatchPlan
from styletransfer.planning.staleness import WITHOUT_EFFECT

_MOST_CHANGES = 4


def plan_lines(plan: BatchPlan) -> Iterator[str]:
    """What is only copied, and which finished pictures are replaced; nothing where all is new."""
    if plan.reusable:
        entry = next(iter(plan.reusable.values()))
        yield (
            f"{counted(len(plan.reusable), 'picture')} will be copied: they are here under another name or "
            f"in another format, such as {printable(entry.output)}"
        )
    if plan.replaced:
        name = plan.replaced[0]
        yield (
            f"{counted(len(plan.replaced), 'picture')} will be replaced, such as {printable(name)}"
            f"{_changes(plan, name)}"
        )


def _changes(plan: BatchPlan, output: str) -> str:
    """Which settings of a picture differ from those that it will be made with, as its file says."""
    pair = next(pair for pair, name in plan.outputs.items() if name == output)
    if plan.reasons[pair] != "settings changed":
        return ""
    try:
        before = read_settings(plan.request.out.read(output) or b"").get("config", {})
    except ConfigError:  # damaged, or of another program
        return ""
    now: dict[str, Any] = plan.request.variants[pair.variant].to_dict()
    changed = [
        f"--{key.replace('_', '-')} {_shown(before[key])} is now {_shown(value)}"
        for key, value in now.items()
        if key in before and key not in WITHOUT_EFFECT and _plain(before[key]) != _plain(value)
    ]
    more = ", ..." if len(changed) > _MOST_CHANGES else ""
    return f" ({', '.join(changed[:_MOST_CHANGES])}{more})" if changed else ""


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    return printable(" ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
