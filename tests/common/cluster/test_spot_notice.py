"""AWS's notice, read from a simulated metadata service, drains the node."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.cluster import spot_notice
from tests.cluster.metadata import notice, server_at


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the notice is put."""
    return tmp_path / "notice.json"


@pytest.fixture
def endpoint(file: Path) -> Iterator[str]:
    """A metadata service."""
    with server_at("127.0.0.1", 0, file) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_without_a_notice_there_is_no_end(endpoint: str) -> None:
    assert spot_notice.end_of_machine(endpoint) is None


def test_a_notice_says_when_the_machine_ends(endpoint: str, file: Path) -> None:
    file.write_text('{"action": "terminate", "time": "2026-11-25T08:22:00Z"}')
    assert spot_notice.end_of_machine(endpoint) == 1795594920


@pytest.mark.parametrize("text", ["soon", "[1]", "{}", '{"time": 5}', '{"time": "tomorrow"}'])
def test_a_notice_of_another_form_is_not_accepted(endpoint: str, file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ValueError):
        spot_notice.end_of_machine(endpoint)


def test_where_there_is_no_metadata_it_is_asked_again(
    endpoint: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the first look, at a place that does not answer, to a Ray that is there at the second try."""
    asked: list[str] = []
    drained: list[int] = []

    def end_of_machine(place: str) -> float | None:
        asked.append(place)
        if len(asked) == 1:
            raise ConnectionRefusedError
        if len(asked) == 3:
            file.write_text(notice(seconds=120))
        return real(place)

    def drain(seconds_left: int) -> None:
        drained.append(seconds_left)
        if len(drained) == 1:
            raise ConnectionError("no Ray runs here")

    real = spot_notice.end_of_machine
    monkeypatch.setenv(spot_notice.ENDPOINT_VARIABLE, f"{endpoint}/")
    monkeypatch.setattr(spot_notice, "end_of_machine", end_of_machine)
    monkeypatch.setattr(spot_notice, "drain", drain)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    spot_notice.main()
    assert asked == [endpoint] * 3
    assert len(drained) == 2 and all(110 <= seconds <= 120 for seconds in drained)
    lines = [line.split(" ", 2)[2] for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("AWS takes this machine in 1")
    assert lines[1:] == ["Ray does not drain it, is asked again: no Ray runs here", "Ray drains it"]
