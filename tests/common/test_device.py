"""Settings of precision and kernels hold within their block, and are as before after it."""

import contextlib
from collections.abc import Iterator

import pytest
import torch

from common.device import exact_float32, fixed_shapes

CONV, MATMUL = torch.backends.cudnn.conv, torch.backends.cuda.matmul


def earlier_settings() -> tuple[object, ...]:
    """What PyTorch's earlier settings say; an error's type where they contradict the present ones."""
    found: list[object] = []
    for read in (
        lambda: torch.backends.cudnn.allow_tf32,
        lambda: torch.backends.cuda.matmul.allow_tf32,
        torch.get_float32_matmul_precision,
    ):
        try:
            found.append(read())
        except RuntimeError as error:
            found.append(type(error))
    return tuple(found)


def all_settings() -> tuple[object, ...]:
    """All settings that decide how float32 is multiplied."""
    on_cpu = torch.backends.mkldnn.matmul.fp32_precision
    return (*earlier_settings(), MATMUL.fp32_precision, on_cpu, CONV.fp32_precision == "ieee")


@contextlib.contextmanager
def asked_for(how: str) -> Iterator[None]:
    """The settings as a user may have made them, undone afterwards."""
    if how in ("high", "medium"):
        torch.set_float32_matmul_precision(how)
    elif how == "earlier":
        MATMUL.allow_tf32 = True
    elif how == "convolutions off":
        torch.backends.cudnn.allow_tf32 = False
    elif how == "present":
        MATMUL.fp32_precision = "tf32"
        CONV.fp32_precision = "tf32"
    elif how == "parent":
        torch.backends.fp32_precision = "tf32"
    elif how == "convolutions exact":
        CONV.fp32_precision = "ieee"
    try:
        yield
    finally:
        torch.backends.fp32_precision = "none"
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = True


ALONE = ("untouched", "high", "medium", "earlier")
HOW = (*ALONE, "present", "parent", "convolutions off", "convolutions exact")


@pytest.mark.filterwarnings("ignore:Please use the new API")  # of the earlier settings, in some versions
@pytest.mark.parametrize("how", HOW)
def test_float32_is_multiplied_as_float32_within_the_block_and_as_before_after_it(how: str) -> None:
    with asked_for(how):
        before = all_settings()
        with exact_float32():
            assert CONV.fp32_precision == MATMUL.fp32_precision == "ieee"
            if how in ALONE:
                # compiling raises an error where both kinds of settings contradict each other
                assert earlier_settings() == (False, False, "highest")
        assert all_settings() == before


def test_a_block_within_a_block_leaves_the_outer_one_as_it_was() -> None:
    before = all_settings()
    with exact_float32():
        outer = all_settings(), CONV.fp32_precision
        with exact_float32():
            assert CONV.fp32_precision == "ieee"
        assert (all_settings(), CONV.fp32_precision) == outer
    assert all_settings() == before


def test_it_is_undone_after_an_error_too() -> None:
    before = all_settings()
    with pytest.raises(ValueError, match="within"), exact_float32():
        raise ValueError("within")
    assert all_settings() == before


def test_kernels_are_chosen_by_trying_within_the_block_alone() -> None:
    assert not torch.backends.cudnn.benchmark
    with fixed_shapes():
        assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark
