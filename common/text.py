"""Short texts that messages are made of: errors as one line, names, durations, counts."""


def one_line(error: BaseException, longest: int | None = None) -> str:
    """An error's message on one line; its type's name where it has none.

    longest: characters at most; a longer line is cut and ends in an ellipsis.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not blank; its type's name where there is none."""
    return next(iter(_lines(error)), type(error).__name__)


def last_line(error: BaseException) -> str:
    """The last line of an error's message that is not blank: of a traceback, the message itself."""
    return next(reversed(_lines(error)), type(error).__name__)


def type_and_last_line(error: BaseException) -> str:
    """An unexpected error as `ValueError: its last line`, since such a line alone often says too little."""
    lines = _lines(error)
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__


def os_reason(error: OSError) -> str:
    """Why the system refused, without the number and the path: `No space left on device`."""
    return error.strerror or str(error)


def printable(name: str) -> str:
    """A file's name on one line of any terminal: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def duration(seconds: float) -> str:
    """90 -> `1 min 30 s`, with the two largest units, rounded to whole seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(count: int, what: str) -> str:
    """1 and `trial` -> `1 trial`; 1200 -> `1,200 trials`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _lines(error: BaseException) -> list[str]:
    return [line.strip() for line in str(error).splitlines() if line.strip()]
