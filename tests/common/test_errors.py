"""URLs with a password are refused, and the message does not repeat the password."""

import pytest

from common.errors import ConfigError, require_no_password
from common.storage.folder import Folder
from tune.config import SweepConfig


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db/study",
        "postgresql+psycopg://me:hunter2@db:5432/study",
        "postgresql://me@db/study?application_name=x&password=hunter2",
        "s3://AKIA:hunter2@b/c",
        "s3://AKIA:hun/ter2@b/c",
    ],
)
def test_a_url_with_a_password_is_refused_in_one_line_that_does_not_repeat_it(url: str) -> None:
    for make in (lambda: SweepConfig(study=url), lambda: Folder(url), lambda: Folder(url, flag="OUT")):
        with pytest.raises(ConfigError) as caught:
            make()
        message = str(caught.value)
        assert "ter2" not in message and "AKIA" not in message and "\n" not in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@db:5432/study",
        "s3://bucket/a:b@c/d",
        "runs/a:b@c",
        "sqlite:////tmp/a:b@c.db",
        "file:///a:b@c",
    ],
)
def test_a_url_without_a_password_is_accepted(url: str) -> None:
    require_no_password("--study", url, "remedy")
