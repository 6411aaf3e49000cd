"""Optional packages: what needs one says in one line how to install it."""

import importlib.util

from common.errors import require


def require_package(package: str, *, flag: str, extra: str | None = None) -> None:
    """Raise `ConfigError` when a package is not installed; it is not imported.

    flag: what needs it. extra: the extra of this project that installs it, if there is one.
    """
    found = importlib.util.find_spec(package)
    # a mere folder of that name, such as `wandb/`, is found as a package without a file
    require(
        found is not None and found.origin is not None,
        f"{flag} needs the package {package}, which is not installed; run "
        f"pip install '{f'artsweep[{extra}]' if extra else package}'",
    )
