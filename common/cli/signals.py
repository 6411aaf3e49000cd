"""Ctrl-C and SIGTERM as one exception with the right exit code, and sections that a signal must not cut."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS_UNTIL_REPEATED = 0.02

Handler = Callable[[int, FrameType | None], None]


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
        # a second signal must not interrupt the clean-up that the first one started
        handle_signals(signal.SIG_IGN)
        received.append(signum)
        raise Interrupted(signum)

    with handled_by(interrupt), _repeated_when_dropped(interrupt):
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
        with handled_by(lambda signum, _: received.append(signum)):
            yield check
    finally:
        if received:
            handle_signals(signal.SIG_IGN)
    check()


def handle_signals(handler: Handler | signal.Handlers) -> None:
    """Let SIGINT and SIGTERM call `handler` from now on."""
    for each in _SIGNALS:
        signal.signal(each, handler)


@contextlib.contextmanager
def handled_by(handler: Handler | signal.Handlers) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM call `handler`; in a thread, which gets none, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, handler) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, earlier in before.items():
            signal.signal(each, earlier)


@contextlib.contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """For a call from Python: `Interrupted` becomes KeyboardInterrupt, and signals do what they did before.

    A command ends after it was stopped; a notebook goes on.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in _SIGNALS if is_main}
    try:
        yield
    except Interrupted as interrupted:
        raise KeyboardInterrupt(str(interrupted)) from None
    finally:
        for each, earlier in before.items():
            signal.signal(each, earlier)


@contextlib.contextmanager
def _repeated_when_dropped(interrupt: Handler) -> Iterator[None]:
    """Within the block a signal whose exception Python drops is sent again a moment later.

    Python prints and drops what is raised in a destructor or in the callback of a weak reference, such as
    the one that ends each import.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            before(unraisable)
            return
        handle_signals(interrupt)
        signum = unraisable.exc_value.exit_code - 128
        threading.Timer(_SECONDS_UNTIL_REPEATED, os.kill, (os.getpid(), signum)).start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
