"""Serves optuna-dashboard for one sweep, on this machine unless told otherwise."""

import errno
import json
import socketserver
import wsgiref.simple_server
from collections.abc import Callable, Iterable
from typing import Any

import optuna

from common.errors import ConfigError
from common.text import os_reason
from tune.config import SweepConfig
from tune.dashboard.grids import GridArtifacts
from tune.dashboard.journal import ReadJournal
from tune.dashboard.view import StudyView
from tune.records.sweep_folder import SweepFolder
from tune.search.journal import StudyStorage
from tune.search.study_url import check_study_url

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True  # a request that goes on does not delay the end


class _QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """A line for each request would hide the address."""


def study_view(folder: SweepFolder, config: SweepConfig, artifacts: GridArtifacts) -> StudyView:
    """The sweep's study with its grids, as it is at every moment.

    Raises: ConfigError when there is no such study.
    """
    if config.study is None:
        storage = optuna.storages.JournalStorage(ReadJournal(folder.files))
    else:
        check_study_url(config.study, must_exist=True)
        storage = StudyStorage(folder.location, config.study).storage
    names = optuna.get_all_study_names(storage)
    # sweeps of earlier versions did not save the name
    candidates = [folder.study_name() or folder.name, config.name or folder.name]
    name = next((name for name in candidates if name in names), None)
    if name is None:
        raise ConfigError(
            f"{folder.location} has no study named {candidates[0]} in {config.study or 'its journal'}; wait "
            "until the sweep has started, or name its database with --study"
        )
    return StudyView(storage, name, metric=config.gan.evaluation.key(), further=artifacts.attributes)


def read_only(app: App) -> App:
    """The app without what changes something: a sweep that runs must stay the only one that writes."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [
            json.dumps({"reason": "This dashboard only shows the sweep; nothing can be changed."}).encode()
        ]

    return answer


def serve(view: StudyView, artifacts: GridArtifacts, *, host: str, port: int) -> "_Server":
    """A server that is bound to its address, ready for `serve_forever`.

    Raises: ConfigError when the address cannot be used.
    """
    from optuna_dashboard import wsgi  # takes a second

    app = read_only(wsgi(view, artifact_store=artifacts))
    try:
        server = wsgiref.simple_server.make_server(
            host, port, app, server_class=_Server, handler_class=_QuietHandler
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"--port {port} is in use on {host}; give another, or --port 0 for any that is free"
            ) from None
        raise ConfigError(
            f"--host {host} --port {port} cannot be used: {os_reason(error)}; try --host 127.0.0.1 --port 0"
        ) from None
    return server
