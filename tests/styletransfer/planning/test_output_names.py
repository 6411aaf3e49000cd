"""What pictures are called: different pairs, different names, on every disk, and the same at every start."""

import os
import re
import unicodedata
from pathlib import PurePosixPath

from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.text import printable
from styletransfer.planning.output_names import (
    TakenNames,
    assign_names,
    heading_thumb,
    name_key,
    output_thumb,
)
from styletransfer.planning.pairs import Pair, product


def named(*pairs: tuple[str, ...], earlier: dict[Pair, str] | None = None) -> list[str]:
    return list(assign_names([Pair(*pair) for pair in pairs], ".png", earlier=earlier).values())


def test_a_name_is_readable() -> None:
    assert named(("photos 2020/Cat & dog (1).jpg", "old/starry_night.jpg")) == [
        "photos-2020/Cat-dog-1__old-starry_night.png"
    ]
    assert named(("été/Žluťoučký kůň.jpg", "神奈川沖浪裏.jpg")) == ["été/Žluťoučký-kůň__神奈川沖浪裏.png"]
    assert named(("a.jpg", "b.jpg", "style-weight=0.5")) == ["a__b__style-weight=0.5.png"]


def test_pictures_that_differ_in_their_ending_keep_it() -> None:
    assert named(("cat.jpg", "s.jpg"), ("cat.png", "s.jpg"), ("dog.png", "s.jpg")) == [
        "cat.jpg__s.jpg.png",
        "cat.png__s.jpg.png",
        "dog__s.png",
    ]


def test_names_that_some_disks_take_for_one_are_kept_apart() -> None:
    for one, other in (
        ("CAT.jpg", "cat.jpg"),
        ("Straße.jpg", "STRASSE.jpg"),
        ("é.jpg", "e\u0301.jpg"),
        ("a b.jpg", "a-b.jpg"),
        ("a/b.jpg", "A/b.jpg"),
    ):
        names = named((one, "s.jpg"), (other, "s.jpg"))
        assert len({name_key(name) for name in names}) == 2
        assert all(re.search(r"__s~[0-9a-f]{16}\.png$", name) for name in names), names


def test_a_long_name_is_cut_and_bears_a_digest() -> None:
    deep = "/".join(["folder"] * 60) + "/x.jpg"
    names = named(("a" * 250 + ".jpg", "b" * 250 + ".jpg"), (deep, "s.jpg"), ("猫" * 80 + ".jpg", "s.jpg"))
    assert re.fullmatch(r"a{50}__b{50}~[0-9a-f]{16}\.png", names[0])
    assert re.fullmatch(r"x__s~[0-9a-f]{16}\.png", names[1])
    assert names[2].startswith("猫" * 16 + "__s~")


def test_no_name_is_a_device_of_windows_or_our_own_folder() -> None:
    assert named(("con/aux.d/x.jpg", "s.jpg"), ("Thumbs/x.jpg", "s.jpg"), ("com¹/x.jpg", "s.jpg")) == [
        "_con/_aux.d/x__s.png",
        "_Thumbs/x__s.png",
        "_com¹/x__s.png",
    ]


def test_a_picture_added_later_renames_nothing() -> None:
    first = product(["cat.jpg", "dog.jpg"], ["s.jpg"])
    earlier = assign_names(first, ".png")
    assert earlier[first[0]] == "cat__s.png"
    later = assign_names(
        product(["CAT.jpg", "cat.jpg", "cat.png", "dog.jpg"], ["s.jpg"]), ".png", earlier=earlier
    )
    assert {pair: later[pair] for pair in first} == earlier
    assert len({name_key(name) for name in later.values()}) == 4


def test_the_name_of_a_picture_that_is_gone_is_nobody_elses() -> None:
    gone = Pair("cat.jpg", "s.jpg")
    assert named(("cat.bmp", "s.jpg"), earlier={gone: "cat__s.png"}) == ["cat.bmp__s.jpg.png"]


def test_another_format_keeps_the_rest_of_the_name() -> None:
    pair, other = Pair("cat.jpg", "s.jpg"), Pair("cat.png", "s.jpg")
    earlier = {pair: "cat__s.png", other: "cat.png__s.jpg.png"}
    assert assign_names([pair, other], ".webp", earlier=earlier) == {
        pair: "cat__s.webp",
        other: "cat.png__s.jpg.webp",
    }


def test_a_name_that_was_asked_for_comes_first() -> None:
    cat, dog, cow = (Pair(f"{animal}.jpg", "s.jpg") for animal in ("cat", "dog", "cow"))
    names = assign_names([cat, dog, cow], ".png", asked={cat: "dog__S.png"}, earlier={cow: "dog__s.png"})
    assert names == {cat: "dog__S.png", dog: "dog.jpg__s.jpg.png", cow: "cow__s.png"}


def test_no_name_is_a_folder_of_one_that_was_asked_for_or_the_other_way_round() -> None:
    cat, dog = Pair("cat.jpg", "s.jpg"), Pair("x.png/dog.jpg", "s.jpg")
    names = assign_names([cat, dog], ".png", asked={cat: "X.png"})
    assert names[cat] == "X.png" and re.fullmatch(r"dog__s~[0-9a-f]{16}\.png", names[dog])
    taken = TakenNames[int]()
    assert taken.take("a/b/c.png", 1) is None
    assert [taken.take(name, 2) for name in ("A", "a/B", "a/b/C.png", "a/b/c.png/d")] == [1, 1, 1, 1]
    assert taken.take("a/b/d.png", 2) is None and taken.take("a/b/c.png", 1) is None


letters = st.sampled_from(list("aAbB._- ~%#?'\"<>|:*\\éÉ\u0301ſKıİßﬁ👍\ud800\x07\n猫क्षCON1"))
parts = st.text(letters | st.characters(exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda part: part not in (".", "..")
)
long_parts = st.builds(lambda part, times: part * times, parts, st.integers(1, 30))
paths = st.builds(
    lambda folders, stem, ending: "/".join([*folders, stem + ending]),
    st.lists(parts, max_size=3),
    parts | long_parts,
    st.sampled_from([".jpg", ".JPG", ".png", ".jpeg", ""]),
)
variants = st.sampled_from(["", "style-weight=1", "style-weight=10", "Style-Weight=1"])
pairs = st.builds(Pair, paths, paths, variants)


@given(st.lists(pairs, unique=True, max_size=8))
@example(
    [
        Pair("a__b.jpg", "c.jpg"),
        Pair("a.jpg", "b__c.jpg"),
        Pair("a.jpg", "b/c.jpg"),
        Pair("a.jpg", "b-c.jpg"),
    ],
)
@example([Pair("...", "a."), Pair(".a", "~")])
@settings(deadline=None, max_examples=120)
def test_different_pairs_have_different_names_that_every_disk_takes(some: list[Pair]) -> None:
    names = assign_names(some, ".png")
    assert list(names) == some
    assert len({name_key(name) for name in names.values()}) == len(some)
    for name in names.values():
        assert len(name.encode()) <= 200 and name.isprintable()
        for part in name.split("/"):
            # Windows: Naming Files, Paths, and Namespaces
            assert not set(part) & set('<>:"/\\|?*') and part == part.strip(". ") and part
            assert not re.fullmatch(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", part, re.IGNORECASE)
        assert name_key(PurePosixPath(name).parts[0]) != "thumbs"
        assert unicodedata.normalize("NFC", name) == name
    assert assign_names(some[::-1], ".png") == names


@given(st.lists(pairs, unique=True, max_size=5), st.lists(pairs, unique=True, max_size=5))
@settings(deadline=None, max_examples=50)
def test_whatever_is_added_later_earlier_names_stay(first: list[Pair], more: list[Pair]) -> None:
    earlier = assign_names(first, ".png")
    later = assign_names(dict.fromkeys([*more, *first]), ".png", earlier=earlier)
    assert {pair: later[pair] for pair in first} == earlier
    assert len({name_key(name) for name in later.values()}) == len(later)
    assert assign_names(later, ".png", earlier=earlier | later) == later


@given(st.lists(paths, unique=True, max_size=5))
@settings(deadline=None, max_examples=50)
def test_thumbnails_have_names_of_their_own(some: list[str]) -> None:
    thumbs = [heading_thumb("content", name) for name in some] + [
        heading_thumb("style", name) for name in some
    ]
    thumbs += [output_thumb(name) for name in assign_names(product(some, some), ".png").values()]
    assert len({name_key(thumb) for thumb in thumbs}) == len(thumbs)


@given(st.text())
@example(os.fsdecode(b"\xff\n\x1b[31m"))
def test_any_name_is_shown_on_one_line(name: str) -> None:
    line = printable(name)
    assert line.isprintable() and line.encode() is not None
    assert printable(line) == line
