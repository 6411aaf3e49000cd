"""Text for messages: errors as one line, printable names, durations, counts."""


def one_line(error: BaseException, longest: int | None = None) -> str:
    """An error's message on one line; the name of its type if it has no message.

    longest: most characters; a longer line is cut and ends in an ellipsis.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not blank; the name of its type if there is none."""
    return next(iter(_lines(error)), type(error).__name__)


def last_line(error: BaseException) -> str:
    """The last line of an error's message that is not blank; of a traceback, this is the message itself."""
    return next(reversed(_lines(error)), type(error).__name__)


def type_and_last_line(error: BaseException) -> str:
    """`ValueError: last line`, for unexpected errors, whose last line alone often says too little."""
    lines = _lines(error)
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__


def os_reason(error: OSError) -> str:
    """The system's reason without error number and path: `No space left on device`."""
    return error.strerror or str(error)


def printable(name: str) -> str:
    """A file's name that fits on one line of any terminal: unprintable characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


def duration(seconds: float) -> str:
    """90 -> `1 min 30 s`: at most the two largest units, rounded to whole seconds."""
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
