"""Reads pairs from a CSV file and checks them against the pictures that were found."""

import csv
import difflib
import io
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pathvalidate import ErrorReason, ValidationError, validate_filename

from common.errors import ConfigError, require
from common.text import printable
from styletransfer.planning.output_names import THUMBS_FOLDER, TakenNames, name_key
from styletransfer.planning.pairs import Pair

_COLUMNS = ("content", "style", "output")
_MAX_OUTPUT_BYTES = 200


def read_pairs(
    path: Path, contents: Sequence[str], styles: Sequence[str], suffixes: Sequence[str]
) -> tuple[list[Pair], dict[Pair, str]]:
    """Pairs of a CSV file with the columns content, style and optionally output, in its order.

    `contents` and `styles` are the names that a line may use. `suffixes` are the endings that an output may
    have, such as `.png`. Returns the pairs and the outputs that the file names.

    Raises: ConfigError, with the line's number, for anything wrong in the file.
    """
    rows = _rows(path)
    pairs: list[Pair] = []
    outputs: dict[Pair, str] = {}
    lines: dict[Pair, int] = {}
    known_contents, known_styles = _by_normal_form(contents), _by_normal_form(styles)
    for line, row in rows:
        where = f"{path} line {line}"
        pair = Pair(
            _known(known_contents, row["content"], f"{where}: content"),
            _known(known_styles, row["style"], f"{where}: style"),
        )
        require(
            pair not in lines,
            f"{where} is the same pair as line {lines.get(pair)}; remove one of the two lines",
        )
        lines[pair] = line
        pairs.append(pair)
        if row.get("output"):
            outputs[pair] = _checked_output(row["output"], suffixes, where)
    require(bool(pairs), f"{path} holds no pairs; add a line with a content and a style")
    _check_apart(outputs, lines, path)
    return pairs, outputs


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        require(path.is_file(), f"{path} is not a file; give a CSV file with the columns content,style")
        # utf-8-sig: Excel writes a byte order mark
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check its access rights") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8; save it as CSV UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = cells
                _check_header(header, path)
                continue
            where = f"{path} line {reader.line_num}"
            require(
                len(cells) == len(header),
                f"{where} has {len(cells)} cells under {len(header)} columns; quote names with commas",
            )
            rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise ConfigError(f"{path} line {reader.line_num} is not CSV ({error}); correct the line") from None
    require(header is not None, f"{path} is empty; begin it with the line content,style")
    return rows


def _check_header(header: list[str], path: Path) -> None:
    known = ", ".join(_COLUMNS)
    if len(header) == 1 and ";" in header[0]:
        raise ConfigError(f"{path} has semicolons between its columns; save it with commas")
    for column in header:
        require(
            column in _COLUMNS,
            f"{path} has the unknown column {printable(column)!r}; the columns are {known}",
        )
    require(len(set(header)) == len(header), f"{path} names a column twice; the columns are {known}")
    for column in _COLUMNS[:2]:
        require(column in header, f"{path} has no column {column}; begin it with the line content,style")


def _by_normal_form(names: Sequence[str]) -> dict[str, str]:
    # a spreadsheet writes é as one character where a disk may hold two; the exact name wins
    composed = {unicodedata.normalize("NFC", name): name for name in names}
    return composed | {name: name for name in names}


def _known(names: Mapping[str, str], asked: str, where: str) -> str:
    asked = asked.removeprefix("./")
    require(bool(asked), f"{where} is empty; name a picture")
    found = names.get(asked) or names.get(unicodedata.normalize("NFC", asked))
    if found is None:
        near = difflib.get_close_matches(asked, names, n=1)
        hint = f"did you mean {printable(near[0])}?" if near else "names are relative to the folder given"
        raise ConfigError(
            f"{where} {printable(asked)} is not among the {len(set(names.values()))} pictures; {hint}"
        )
    return found


def _checked_output(output: str, suffixes: Sequence[str], where: str) -> str:
    name = unicodedata.normalize("NFC", output)
    parts = name.split("/")
    require(
        len(name.encode()) <= _MAX_OUTPUT_BYTES,
        f"{where}: output has {len(name.encode())} bytes, over the limit of {_MAX_OUTPUT_BYTES}; shorten it",
    )
    for part in parts:
        _check_part(part, f"{where}: output {printable(output)}")
    require(
        PurePosixPath(name).suffix.lower() in suffixes,
        f"{where}: output {printable(output)} must end in one of {' '.join(suffixes)}; add the ending",
    )
    require(
        name_key(parts[0]) != THUMBS_FOLDER and not any(part.startswith(".") for part in parts),
        f"{where}: output {printable(output)} must not be hidden or in {THUMBS_FOLDER}/; choose another",
    )
    return name


def _check_part(part: str, what: str) -> None:
    """Raise `ConfigError` for a part of a path that is not a file name on every system."""
    rule = ""
    try:
        validate_filename(part, platform="universal")
    except ValidationError as error:
        rule = "reserved" if error.reason is ErrorReason.RESERVED_NAME else "invalid"
    require(
        rule != "reserved",
        f"{what} must not use {printable(part)}, a reserved name on Windows; choose another",
    )
    require(
        not rule and part.isprintable() and bool(part.strip(".")),
        f'{what} must be a path inside the output folder; give one such as a/b.png, without \\ : * ? " < > |',
    )


def _check_apart(outputs: Mapping[Pair, str], lines: Mapping[Pair, int], path: Path) -> None:
    """Refuse outputs that clash: one file on some file system, or one a folder of the other."""
    taken = TakenNames[Pair]()
    for pair, output in outputs.items():
        other = taken.take(output, pair)
        if other is not None:
            raise ConfigError(
                f"{path} line {lines[pair]}: output {printable(output)} clashes with "
                f"{printable(outputs[other])} of line {lines[other]}; choose another"
            )
