"""`from styletransfer import stylize`: what goes in, and what comes out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from common.errors import ConfigError
from common.storage.folder import Folder
from perceptual.loading import load_network
from styletransfer import StyleConfig, stylize
from styletransfer.pictures.writing import read_settings
from styletransfer.transfer import stylize as optimize

SIZE = 32
QUICK = {"size": SIZE, "iterations": 6, "scales": 2}


def shrunk(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE)))


PHOTO, PAINTING, OTHER = shrunk(data.astronaut()), shrunk(data.coffee()), shrunk(data.chelsea())


def test_files_images_and_arrays_give_the_pixels_of_the_optimizer(tmp_path: Path) -> None:
    for name, picture in (("photo", PHOTO), ("painting", PAINTING)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    config = StyleConfig().with_values(QUICK)
    network = load_network(config.features, pooling=config.pooling, last_tap=config.last_tap())
    expected = optimize.stylize(PHOTO, [PAINTING], config, network=network)
    wanted = np.rint(expected.picture * 255).astype(np.uint8)
    for content, style in (
        (tmp_path / "photo.png", str(tmp_path / "painting.png")),
        (Image.fromarray(PHOTO), Image.fromarray(PAINTING)),
        (PHOTO, PAINTING),
    ):
        np.testing.assert_array_equal(stylize(content, style, **QUICK).pixels, wanted)


def test_a_result_shows_itself_and_is_saved_with_its_settings_and_its_alpha(tmp_path: Path) -> None:
    alpha = np.full((SIZE, SIZE), 255, np.uint8)
    alpha[:8] = 0
    photo = Image.fromarray(np.dstack([PHOTO, alpha]))
    result = stylize(photo, PAINTING, **QUICK)
    assert repr(result).startswith("Result(32 x 32, 6 iterations in ") and "\n" not in repr(result)
    assert result._repr_png_().startswith(b"\x89PNG")
    result.save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved)[..., 3], alpha)
        np.testing.assert_array_equal(np.asarray(saved)[8:, :, :3], result.pixels[8:])
    settings = read_settings((tmp_path / "out.png").read_bytes())
    assert settings is not None and settings["iterations"] == 6
    with pytest.raises(ConfigError, match="bmp"):
        result.save(tmp_path / "out.bmp")
    assert [file.name for file in Folder(str(tmp_path)).list_files()] == ["out.png"]


def test_styles_blend_and_a_black_mask_leaves_a_style_out() -> None:
    nowhere = np.zeros((SIZE, SIZE), np.uint8)
    one = stylize(PHOTO, PAINTING, **QUICK).pixels.astype(float)
    both = stylize(PHOTO, [PAINTING, OTHER], **QUICK).pixels.astype(float)
    masked = stylize(PHOTO, [PAINTING, OTHER], masks=[None, nowhere], **QUICK).pixels.astype(float)
    assert np.abs(both - one).mean() > 1
    assert np.abs(masked - one).mean() < np.abs(both - one).mean()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 3}, "--size must lie between"), ({"sise": 32}, "sise"), ({"iterations": "x"}, "--iterations")],
)
def test_a_wrong_setting_is_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        stylize(PHOTO, PAINTING, **settings)
    assert "\n" not in str(caught.value)
