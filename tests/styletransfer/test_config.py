"""The settings of a style transfer: what --size is."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from styletransfer.config import MOST_SIZE_PX, StyleConfig
from styletransfer.pictures.resizing import fitted_size
from styletransfer.transfer.scales import content_scales

SIDES = st.integers(1, 6000)


@example(height=1, width=1043, size=16, size_of="area")
@given(height=SIDES, width=SIDES, size=st.integers(16, 1024), size_of=st.sampled_from(["shorter", "area"]))
def test_the_shorter_side_or_the_area_is_as_asked_for_and_stays_when_it_is_fitted_again(
    height: int, width: int, size: int, size_of: str
) -> None:
    config = StyleConfig(size=size, size_of=size_of, scales=1)  # type: ignore[arg-type]
    long_side = round(config.longer_side(height, width))
    made = fitted_size((width, height), long_side, enlarge=True)
    [scale] = content_scales(config, made[1], made[0])
    assert (scale.width, scale.height) == made, "what was read at its final size is not resized again"
    ratio = max(height, width) / min(height, width)
    if size * ratio > MOST_SIZE_PX:
        assert max(made) <= MOST_SIZE_PX
    elif size_of == "shorter":
        assert min(made) == size
    else:
        assert math.isclose(max(made), size * math.sqrt(ratio), abs_tol=0.5 + ratio)


def test_a_panorama_is_no_thin_strip_where_its_shorter_side_is_given() -> None:
    longer, shorter = StyleConfig(size=512), StyleConfig(size=512, size_of="shorter")
    assert content_scales(longer, 500, 3000)[-1][:2] == (85, 512)
    assert content_scales(shorter, 500, 3000)[-1][:2] == (512, 3072)
    assert content_scales(StyleConfig(size=512, size_of="area"), 500, 3000)[-1][:2] == (209, 1254)
