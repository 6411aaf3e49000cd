"""Checkpoints: what goes in comes out, and nothing else gets in."""

import builtins
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from common.errors import ConfigError
from common.storage.atomic import WriteError
from gan import checkpoint
from gan.checkpoint import CheckpointError, GeneratorState, RunState
from gan.config import GanConfig


def _state() -> RunState:
    torch.manual_seed(0)
    tensors = {
        "generator.weight": torch.randn(4, 3, 5, 5),
        "generator.norm.running_mean": torch.randn(3),
        "ema.weight": torch.randn(4, 3, 5, 5),
        "generator_optimizer.step": torch.tensor(7.0),
        "discriminator.half": torch.randn(6, 2).to(torch.bfloat16),
        "discriminator.count": torch.tensor(2**60 + 1),
        "discriminator.mask": torch.tensor([True, False, True]),
        "discriminator.empty": torch.zeros(0, 3),
    }
    meta = {"step": 3, "channels": 3, "history": [0.1, 1e-300, None], "ok": True, "größe": {"a": [1]}}
    return RunState(tensors, meta, GanConfig(seed=5).to_dict())


def _assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert second[name].dtype == tensor.dtype
        assert second[name].shape == tensor.shape
        assert torch.equal(second[name], tensor), name


def test_every_dtype_scalar_and_json_value_comes_back_bit_by_bit() -> None:
    state = _state()
    back = checkpoint.from_bytes(checkpoint.to_bytes(state))
    _assert_same(state.tensors, back.tensors)
    assert back.meta == state.meta
    assert back.config == state.config
    assert GanConfig.from_dict(back.config) == GanConfig(seed=5)


def test_a_blob_can_be_read_by_a_parser_written_from_the_format_s_specification() -> None:
    state = _state()
    blob = checkpoint.to_bytes(state)
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    begin, end = header["generator.weight"]["data_offsets"]
    values = np.frombuffer(blob[8 + length + begin : 8 + length + end], "<f4").reshape(4, 3, 5, 5)
    np.testing.assert_array_equal(values, state.tensors["generator.weight"].numpy())
    assert json.loads(header["__metadata__"]["meta"]) == state.meta


def test_channels_last_strided_aliased_and_trained_tensors_come_back_by_value() -> None:
    base = torch.randn(2, 3, 4, 4)
    flat = torch.arange(12.0)
    tensors = {
        "a": base.to(memory_format=torch.channels_last),
        "b": base.transpose(0, 3),
        "c": base,
        "d": base,
        "e": torch.nn.Parameter(torch.ones(2)),
        "f": flat[:6],
        "g": flat[6:],
        "h": flat,
    }
    back = checkpoint.from_bytes(checkpoint.to_bytes(RunState(tensors, {}, {})))
    _assert_same({name: tensor.detach() for name, tensor in tensors.items()}, back.tensors)


def test_loaded_tensors_may_be_written_to() -> None:
    back = checkpoint.from_bytes(checkpoint.to_bytes(_state()))
    back.tensors["generator.weight"].add_(1)


def _message(call: object, *arguments: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        call(*arguments)  # type: ignore[operator]
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 1000, -1])
def test_a_file_cut_short_anywhere_is_refused_in_one_line(keep: int) -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.from_bytes(checkpoint.to_bytes(_state())[:keep], name="runs/a/cut.safetensors")
    message = str(caught.value)
    assert message.startswith("runs/a/cut.safetensors is truncated") and "\n" not in message


def test_a_pickle_and_a_torch_save_file_are_refused_and_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return (builtins.exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / f"{protocol}.pkl").write_bytes(pickle.dumps(Trap(), protocol))
    torch.save({"a": torch.ones(2)}, tmp_path / "zip.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        _message(checkpoint.from_bytes, path.read_bytes())
        _message(checkpoint.generator_from_bytes, path.read_bytes())
    assert "never loaded" in _message(checkpoint.from_bytes, (tmp_path / "zip.pt").read_bytes())
    assert "never loaded" in _message(checkpoint.from_bytes, (tmp_path / "old.pt").read_bytes())
    assert not (tmp_path / "sprung").exists()


def test_a_foreign_file_and_another_version_are_named() -> None:
    foreign = safetensors.torch.save({"a": torch.ones(2)}, {"format": "pt"})
    assert "another program" in _message(checkpoint.from_bytes, foreign)
    assert "another program" in _message(checkpoint.from_bytes, safetensors.torch.save({"a": torch.ones(2)}))
    newer = safetensors.torch.save({}, {"artsweep_kind": "run", "artsweep_version": "99"})
    assert "99" in _message(checkpoint.from_bytes, newer)
    halved = safetensors.torch.save({}, {"artsweep_kind": "run", "artsweep_version": "1", "meta": "{"})
    assert "broken metadata" in _message(checkpoint.from_bytes, halved)
    listed = safetensors.torch.save(
        {}, {"artsweep_kind": "run", "artsweep_version": "1", "meta": "[]", "config": "3"}
    )
    assert "broken metadata" in _message(checkpoint.from_bytes, listed)


def test_errors_are_value_errors_that_the_command_line_reports() -> None:
    assert issubclass(CheckpointError, ConfigError)
    assert issubclass(WriteError, ConfigError)
    assert issubclass(ConfigError, ValueError)


def test_a_generator_comes_back_alone_and_out_of_a_whole_run() -> None:
    state = _state()
    generator = checkpoint.generator_of(state)
    # the average overrides; a buffer that is not averaged comes from the trained generator
    _assert_same(
        generator.tensors,
        {
            "weight": state.tensors["ema.weight"],
            "norm.running_mean": state.tensors["generator.norm.running_mean"],
        },
    )
    assert generator.channels == 3
    alone, whole = checkpoint.generator_to_bytes(generator), checkpoint.to_bytes(state)
    for data in (alone, whole):
        back = checkpoint.generator_from_bytes(data)
        _assert_same(generator.tensors, back.tensors)
        assert (back.channels, back.config) == (3, state.config)
    assert len(alone) < len(whole)


def test_a_generator_alone_is_not_taken_for_a_run_and_channels_must_be_known() -> None:
    alone = checkpoint.generator_to_bytes(GeneratorState({"w": torch.ones(1)}, 1, {}))
    assert "not a whole run" in _message(checkpoint.from_bytes, alone)
    nameless = checkpoint.to_bytes(RunState({"ema.w": torch.ones(1)}, {}, {}))
    assert "channels" in _message(checkpoint.generator_from_bytes, nameless)


def test_a_header_of_any_length_loads_also_one_that_begins_like_a_pickle() -> None:
    lengths: set[int] = set()
    for padding in range(0, 520, 8):
        state = RunState({"x": torch.ones(2)}, {"note": "-" * padding}, {})
        data = checkpoint.to_bytes(state)
        lengths.add(data[0])
        assert checkpoint.from_bytes(data).meta == state.meta
    assert 0x80 in lengths, "the length whose first byte is a pickle's was among them"
