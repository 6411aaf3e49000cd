"""What all tests share: the figures that some of them leave."""

from collections.abc import Callable

import pytest

Figure = Callable[[str, float], None]


@pytest.fixture
def figure(capsys: pytest.CaptureFixture[str]) -> Figure:
    """Prints what happened and after how many seconds it went on, also where the test passes."""

    def show(what: str, seconds: float) -> None:
        with capsys.disabled():
            print(f"\n{what}: went on after {seconds:.1f} s", flush=True)

    return show
