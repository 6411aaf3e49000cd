"""Files of tensors: both kinds equal, and what is damaged or foreign refused in one line."""

import pickle
import subprocess
from pathlib import Path

import pytest
import safetensors.torch
import torch

from common.errors import ConfigError
from perceptual.tensors import check_tensors, digest_of, parse_safetensors, read_tensors

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.tensor([1.5, -2.5]).half()}


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and "; " in message
    return message


def write(path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=path.suffix == ".pth")
    return path


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "old.pt"])
def test_a_file_of_any_kind_gives_its_tensors(name: str, tmp_path: Path) -> None:
    found = read_tensors(write(tmp_path / name))
    assert found.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        assert found[key].dtype == tensor.dtype and torch.equal(found[key], tensor)


def test_the_content_decides_the_kind_not_the_ending(tmp_path: Path) -> None:
    write(tmp_path / "x.safetensors").rename(tmp_path / "x.pth")
    assert torch.equal(read_tensors(tmp_path / "x.pth")["a"], TENSORS["a"])


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "old.pt"])
def test_a_truncated_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    whole = path.read_bytes()
    for length in (0, 5, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "truncated" in refusal(path)


@pytest.mark.parametrize(
    "data", [b"hello, world", b"\x89PNG\r\n\x1a\n" + bytes(40), b"[1, 2, 3]", bytes(100)]
)
def test_a_foreign_file_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(data)
    refusal(tmp_path / "x.pth")


def test_a_missing_file_and_a_folder_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing.pth")
    assert "directory" in refusal(tmp_path)


class Innocent:
    """Unpickling it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return subprocess.check_output, (["touch", str(self.target)],)


@pytest.mark.parametrize("save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))])
def test_a_file_that_would_run_a_program_is_refused_unread(save: object, tmp_path: Path) -> None:
    assert callable(save)
    save({"a": Innocent(tmp_path / "ran")}, tmp_path / "x.pth")
    refusal(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "what", [[torch.zeros(2)], torch.zeros(2), {"epoch": 3}, {"a": {"b": torch.zeros(1)}}]
)
def test_what_is_no_table_of_tensors_is_refused_in_one_line(what: object, tmp_path: Path) -> None:
    torch.save(what, tmp_path / "x.pth")
    assert "tensors by name" in refusal(tmp_path / "x.pth")


def test_names_shapes_types_and_values_are_checked() -> None:
    like = {"a": torch.empty(2, 3, device="meta"), "b.c": torch.empty(2, device="meta")}
    check_tensors(TENSORS, like, "x is no y")
    infinite = TENSORS["a"].clone()
    infinite[1, 1] = torch.inf
    for change, named in [
        ({"d": torch.zeros(1), "e": torch.zeros(1), "f": torch.zeros(1)}, "d, e and 1 more as well"),
        ({"a": torch.zeros(3, 2)}, "a must have the shape (2, 3), not (3, 2)"),
        ({"a": torch.zeros(2, 3, dtype=torch.int64)}, "not torch.int64"),
        ({"a": infinite}, "a is not finite"),
    ]:
        with pytest.raises(ConfigError) as caught:
            check_tensors(TENSORS | change, like, "x is no y")
        assert str(caught.value).startswith("x is no y: ") and named in str(caught.value)
    with pytest.raises(ConfigError, match=r"it lacks b\.c"):
        check_tensors({"a": TENSORS["a"]}, like, "x is no y")


def test_the_digest_sees_every_difference_and_no_layout() -> None:
    same = {name: tensor.clone() for name, tensor in reversed(TENSORS.items())}
    same["a"] = same["a"].t().contiguous().t()
    assert digest_of(same) == digest_of(TENSORS)
    others = [
        digest_of(TENSORS, "word"),
        digest_of({**TENSORS, "a": TENSORS["a"].reshape(3, 2)}),
        digest_of({**TENSORS, "a": TENSORS["a"].double()}),
        digest_of({**TENSORS, "a": TENSORS["a"] + 1e-6}),
        digest_of({"A" if name == "a" else name: tensor for name, tensor in TENSORS.items()}),
        digest_of({"number": torch.tensor(1)}),
    ]
    assert len({digest_of(TENSORS), *others}) == len(others) + 1


def test_bytes_that_are_damaged_are_named_as_told() -> None:
    with pytest.raises(ConfigError, match="the weights file over there is truncated"):
        parse_safetensors(safetensors.torch.save(TENSORS)[:-3], "over there")
