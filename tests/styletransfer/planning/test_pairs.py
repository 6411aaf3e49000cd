"""Products, and pairs from CSV files: good ones read, each fault named with its line."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from styletransfer.planning.pairs import Pair, product
from styletransfer.planning.pairs_csv import read_pairs

CONTENTS = ["cat.jpg", "sub/dog, big.png", "Cafe\u0301.jpg"]
STYLES = ["starry.jpg", "old/wave.jpg"]
SUFFIXES = [".png", ".jpg"]


def test_the_product_goes_through_styles_then_contents() -> None:
    assert product(["a", "b"], ["x", "y"]) == [
        Pair("a", "x"),
        Pair("a", "y"),
        Pair("b", "x"),
        Pair("b", "y"),
    ]
    assert product(["a"], ["x"], ["w=1", "w=3"]) == [Pair("a", "x", "w=1"), Pair("a", "x", "w=3")]
    assert product([], ["x"]) == []


def read(tmp_path: Path, text: str | bytes) -> tuple[list[Pair], dict[Pair, str]]:
    path = tmp_path / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_pairs(path, CONTENTS, STYLES, SUFFIXES)


def test_pairs_are_read_in_their_order(tmp_path: Path) -> None:
    lines = [
        "\ufeffstyle, content ,output",
        "",
        "starry.jpg,cat.jpg,a/b.png",
        'old/wave.jpg,"sub/dog, big.png",',
    ]
    text = "".join(f"{line}\r\n" for line in lines)
    pairs, outputs = read(tmp_path, text)
    assert pairs == [Pair("cat.jpg", "starry.jpg"), Pair("sub/dog, big.png", "old/wave.jpg")]
    assert outputs == {pairs[0]: "a/b.png"}


def test_a_name_is_found_however_its_accents_are_encoded(tmp_path: Path) -> None:
    pairs, _ = read(tmp_path, "content,style\nCaf\u00e9.jpg,./starry.jpg\n")
    assert pairs == [Pair("Cafe\u0301.jpg", "starry.jpg")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("content,style\n", "holds no pairs"),
        ("content,syle\n", "unknown column 'syle'"),
        ("content,output\n", "no column style"),
        ("content,style,style\n", "names a column twice"),
        ("content;style\ncat.jpg;starry.jpg\n", "semicolons"),
        ("content,style\ncat.jpg\n", "line 2 has 1 cells under 2"),
        ("content,style\ncat.jpg,starry.jpg,x\n", "line 2 has 3 cells under 2"),
        ("content,style\ncat.jpg,\n", "line 2: style is empty"),
        ("content,style\ncat.jpg,stary.jpg\n", r"line 2: style stary.jpg is not among .* mean starry.jpg\?"),
        (
            "content,style\n/etc/passwd,starry.jpg\n",
            "line 2: content /etc/passwd is not among the 3 pictures",
        ),
        ("content,style\ncat.jpg,starry.jpg\n\ncat.jpg,starry.jpg\n", "line 4 is the same pair as line 2"),
        ('content,style\n"cat.jpg,starry.jpg\n', "is not CSV"),
        (b"content,style\nc\xe4t.jpg,starry.jpg\n", "not UTF-8"),
        ("content,style,output\ncat.jpg,starry.jpg,../x.png\n", "inside the output folder"),
        ("content,style,output\ncat.jpg,starry.jpg,/x.png\n", "inside the output folder"),
        ("content,style,output\ncat.jpg,starry.jpg,a//x.png\n", "inside the output folder"),
        ("content,style,output\ncat.jpg,starry.jpg,C:\\x.png\n", "inside the output folder"),
        ("content,style,output\ncat.jpg,starry.jpg,a /x.png\n", "inside the output folder"),
        ("content,style,output\ncat.jpg,starry.jpg,a\u200b.png\n", "inside the output folder"),
        ("content,style,output\ncat.jpg,starry.jpg,nul/x.png\n", "must not use nul, a reserved name"),
        ("content,style,output\ncat.jpg,starry.jpg,Con.x.png\n", "must not use Con.x.png, a reserved name"),
        ("content,style,output\ncat.jpg,starry.jpg,x.gif\n", "must end in one of .png .jpg"),
        ("content,style,output\ncat.jpg,starry.jpg,thumbs/x.png\n", "must not be hidden or in thumbs/"),
        ("content,style,output\ncat.jpg,starry.jpg,.x.png\n", "must not be hidden"),
        (f"content,style,output\ncat.jpg,starry.jpg,{'x' * 200}.png\n", "204 bytes"),
        (
            "content,style,output\ncat.jpg,starry.jpg,X.png\ncat.jpg,old/wave.jpg,x.png\n",
            "line 3: output x.png clashes with X.png of line 2",
        ),
        (
            "content,style,output\ncat.jpg,starry.jpg,x.png\ncat.jpg,old/wave.jpg,X.png/y.png\n",
            "line 3: output X.png/y.png clashes with x.png of line 2",
        ),
        (
            "content,style,output\ncat.jpg,starry.jpg,X.png/y.png\ncat.jpg,old/wave.jpg,x.png\n",
            "line 3: output x.png clashes with X.png/y.png of line 2",
        ),
    ],
)
def test_a_fault_is_refused_in_one_line(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value) and "pairs.csv" in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(ConfigError, match="is not a file"):
            read_pairs(place, CONTENTS, STYLES, SUFFIXES)
