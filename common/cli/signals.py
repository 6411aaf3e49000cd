"""Ctrl-C and SIGTERM as one exception with the right exit code, and sections that a signal must not cut."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """SIGINT or SIGTERM was received. A BaseException, so that `except Exception` does not swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {'Ctrl-C' if signum == signal.SIGINT else signal.Signals(signum).name}")
        self.exit_code = 128 + signum


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block the first SIGINT or SIGTERM raises `Interrupted`; further ones are ignored.

    Any other exception that ends the block after a signal becomes `Interrupted` as well: a library that the
    signal hits in the middle of its C code may turn it into a SystemError or an ImportError.
    """
    received: list[int] = []

    def interrupt(signum: int, _: FrameType | None) -> None:
        _ignore_further_signals()
        received.append(signum)
        raise Interrupted(signum)

    with _handled_by(interrupt):
        try:
            yield
        except Interrupted:
            raise
        except BaseException as error:
            if received:
                raise Interrupted(received[0]) from error
            raise


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Within the block a signal takes effect only when the yielded function is called, which then raises.

    For loops that must not be interrupted in the middle of a write.

    Raises: Interrupted at the end of the block, if the function was not called since the signal.
    """
    received: list[int] = []

    def check() -> None:
        if received:
            raise Interrupted(received[0])

    try:
        with _handled_by(lambda signum, _: received.append(signum)):
            yield check
    finally:
        if received:
            _ignore_further_signals()
    check()


def _ignore_further_signals() -> None:
    # a second signal must not interrupt the clean-up that the first one started
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, earlier in before.items():
            signal.signal(each, earlier)
