"""Pictures read for their roles: sizes, and masks by hand."""

import io

import numpy as np
from PIL import Image
from skimage.data import astronaut

from styletransfer.config import StyleConfig
from styletransfer.pictures.roles import read_content, read_mask, read_start, read_style


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_contents_grow_styles_and_starts_do_not_and_all_shrink() -> None:
    small, large = png(astronaut()[:30, :40]), png(astronaut())
    config = StyleConfig(size=64, style_scale=2)
    assert read_content(small, config).size_px == (64, 48)
    assert read_style(small, config).size_px == (40, 30)
    assert read_start(small, config).shape == (30, 40, 3)
    assert read_content(large, config).size_px == (64, 64)
    assert read_style(large, config).size_px == (128, 128)
    assert read_start(large, config).shape == (64, 64, 3)


def test_a_panorama_is_read_at_the_size_that_is_made_of_it() -> None:
    wide = png(astronaut()[:128])
    config = StyleConfig(size=64, size_of="shorter")
    assert read_content(wide, config).size_px == (256, 64)
    assert read_start(wide, config).shape == (64, 256, 3)
    assert read_mask(wide, config).shape == (64, 256)


def test_in_a_mask_clear_is_black() -> None:
    on_clear = np.zeros((4, 4, 4), np.uint8)
    on_clear[:2] = 255  # white, opaque
    white = read_mask(png(on_clear), StyleConfig())
    np.testing.assert_array_equal(white, np.repeat([255, 0], 2)[:, None] * np.ones((1, 4)))
    on_clear[:2, :, :3] = 0  # black, opaque
    assert (read_mask(png(on_clear), StyleConfig()) == 0).all()
    on_clear[..., :3], on_clear[..., 3] = 200, 51
    assert (read_mask(png(on_clear), StyleConfig()) == 40).all()  # 200 times a fifth


def test_a_mask_is_averaged_by_area_not_as_light() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::4] = 255
    found = read_mask(png(stripes), StyleConfig(size=64))
    assert found.shape == (64, 64)
    assert np.abs(found.astype(int) - 64).max() <= 1  # a quarter is white; as light it would be 137
