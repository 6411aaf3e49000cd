"""Runs `python -m tune dashboard`: shows a sweep's study in the browser until it is stopped."""

import dataclasses
import warnings

from rich.console import Console

from common.cli.progress import say
from common.storage.reach import check_reachable
from tune.cli.looking import Dashboard
from tune.search.study_url import absolute_study_url


def run_dashboard(command: Dashboard, console: Console) -> int:
    """Serve until a signal, which ends it with `Interrupted`.

    Raises: ConfigError when there is no sweep or no study, or the address cannot be used.
    """
    check_reachable(command.directory, flag="the sweep's folder")
    from tune.dashboard.grids import GridArtifacts
    from tune.dashboard.server import serve, study_view
    from tune.records.sweep_folder import SweepFolder

    folder = SweepFolder.at(command.directory)
    config = folder.config()
    if command.study is not None:
        config = dataclasses.replace(config, study=absolute_study_url(command.study))
    artifacts = GridArtifacts(folder.files)
    view = study_view(folder, config, artifacts)
    with serve(view, artifacts, host=command.host, port=command.port) as server:
        address = f"http://{_in_url(command.host)}:{server.server_port}/dashboard/studies/{view.study_id}"
        say(console, f"{folder.location}: {address} (changes nothing; Ctrl-C ends it)")
        with warnings.catch_warnings():
            # what Optuna says of its plots would scroll the address away
            warnings.filterwarnings("ignore", module="optuna")
            server.serve_forever()
    return 0


def _in_url(host: str) -> str:
    return "127.0.0.1" if host in ("", "0.0.0.0") else host
