"""Storage URLs of studies: absolute wherever the sweep is resumed, and answered within seconds."""

import socket
import time
from pathlib import Path

import optuna
import pytest

from common.errors import ConfigError
from tune.search import journal
from tune.search.study_url import absolute_study_url, check_study_url, sqlite_file


@pytest.mark.parametrize(
    ("given", "absolute"),
    [
        ("sqlite:///my.db", "sqlite:///{here}/my.db"),
        ("sqlite:///sub/my.db?timeout=5", "sqlite:///{here}/sub/my.db?timeout=5"),
        ("sqlite:///~/my.db", "sqlite:///{home}/my.db"),
        ("sqlite+pysqlite:///my.db", "sqlite+pysqlite:///{here}/my.db"),
        ("sqlite:////data/my.db", "sqlite:////data/my.db"),
        ("postgresql+psycopg://me@host/studies", "postgresql+psycopg://me@host/studies"),
    ],
)
def test_a_file_of_sqlite_is_kept_absolute(
    given: str, absolute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = absolute.format(here=tmp_path, home=Path.home())
    assert absolute_study_url(given) == expected
    assert absolute_study_url(expected) == expected, "a resume does it again"
    path = sqlite_file(expected)
    assert (path is None) == given.startswith("postgresql")
    assert path is None or path.is_absolute()


def test_the_absolute_url_names_the_file_that_optuna_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = absolute_study_url("sqlite:///my.db")
    optuna.create_study(storage=url, study_name="x")
    assert sqlite_file(url) == tmp_path / "my.db" and (tmp_path / "my.db").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "--study nonsense is not a URL"),
        ("study.db", "--study study.db is not a URL; give one such as sqlite:///studies.db"),
        ("sqlite://", "--study sqlite:// is a database in memory"),
        ("sqlite:///:memory:", "is a database in memory"),
        ("postgresql://me:secret@host/x", "--study must not hold a password"),
    ],
)
def test_what_is_no_place_for_a_study_is_one_line(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        absolute_study_url(url)
    assert says in str(caught.value) and "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_an_sqlite_file_is_checked_without_being_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    check_study_url(url, must_exist=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"my\.db is missing; if it has moved, say where with --study"):
        check_study_url(url, must_exist=True)
    with pytest.raises(ConfigError, match="there is no folder"):
        check_study_url(f"sqlite:///{tmp_path}/none/my.db", must_exist=False)
    (tmp_path / "my.db").write_text("these are my notes, which are quite long")
    with pytest.raises(ConfigError, match="is not an SQLite database"):
        check_study_url(url, must_exist=False)


def test_a_server_that_is_not_there_is_answered_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ConfigError, match=f"no server answers at 127.0.0.1:{port}"):
        check_study_url(f"postgresql+psycopg://me@127.0.0.1:{port}/studies", must_exist=False)
    assert time.monotonic() - began < 5


def test_a_server_that_accepts_and_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_OPEN_TIMEOUT_S", 0.5)
    monkeypatch.setattr(optuna.storages, "get_storage", lambda url: time.sleep(3))
    with pytest.raises(ConfigError, match=r"--study postgresql://h/x cannot be opened: no answer within"):
        journal.StudyStorage("", "postgresql://h/x")


def test_a_study_whose_sweep_never_began_is_removed_and_others_stay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    for name in ("old", "new"):
        optuna.create_study(storage=url, study_name=name)
    journal.remove_study(url, "new")
    assert journal.StudyStorage("", url).names() == ["old"]
    journal.remove_study(url, "old")
    assert not (tmp_path / "my.db").exists()
