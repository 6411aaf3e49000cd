"""`from styletransfer import stylize`: what goes in, and what comes out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from skimage import data

from common.errors import ConfigError
from common.storage.folder import Folder
from perceptual.loading import load_network
from styletransfer import StyleConfig, stylize
from styletransfer.execution.prepare import KINDS, PairInputs, prepare
from styletransfer.pictures.writing import read_settings
from styletransfer.transfer import stylize as optimize

SIZE = 32
QUICK = {"size": SIZE, "iterations": 6, "scales": 2, "style_weight": 240.0}  # 20 of a larger picture


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


def test_a_notebook_reads_large_pictures_as_a_batch_does(tmp_path: Path) -> None:
    stripes = np.repeat(np.tile(np.uint8([0, 255]), 240)[None], 360, axis=0)
    alpha = np.full((360, 480), 255, np.uint8)
    alpha[:120] = 0
    pictures = {
        "content": Image.fromarray(
            np.dstack([np.asarray(Image.fromarray(data.astronaut()).resize((480, 360))), alpha])
        ),
        "style": Image.fromarray(np.dstack([stripes, stripes // 2, stripes // 3])),
        "mask": Image.fromarray(np.uint8(255 * (np.indices((360, 480))[1] > 200))),
        "start": Image.fromarray(data.coffee()),
    }
    for kind, picture in pictures.items():
        picture.save(tmp_path / f"{kind}.png")
    config = StyleConfig().with_values({**QUICK, "start": str(tmp_path / "start.png")})
    network = load_network(config.features, pooling=config.pooling, last_tap=config.last_tap())
    prepared = [
        prepare(kind, (tmp_path / f"{kind}.png").read_bytes(), kind, config, network=network, device="cpu")[0]
        for kind in KINDS
    ]
    [batch] = optimize.stylize_together([PairInputs(*prepared).request()], config, network=network)
    wanted = np.rint(batch.picture * 255).astype(np.uint8)
    from_files = stylize(
        tmp_path / "content.png",
        tmp_path / "style.png",
        masks=str(tmp_path / "mask.png"),
        start=tmp_path / "start.png",
        network=network,
        **QUICK,
    )
    from_images = stylize(
        pictures["content"],
        [np.asarray(pictures["style"]) / 255],
        masks=torch.from_numpy(np.array(pictures["mask"])),
        start=pictures["start"],
        network=network,
        **QUICK,
    )
    np.testing.assert_array_equal(from_files.pixels, wanted)
    np.testing.assert_array_equal(from_images.pixels, wanted)


@pytest.mark.parametrize("colours", ["style", "lab", "luminance"])
def test_a_style_that_is_partly_clear_gives_the_same_pixels_in_a_notebook_and_in_a_batch(
    colours: str, tmp_path: Path
) -> None:
    alpha = np.full((SIZE, SIZE), 255, np.uint8)
    alpha[:, 16:] = 0
    Image.fromarray(PHOTO).save(tmp_path / "content.png")
    Image.fromarray(np.dstack([PAINTING, alpha])).save(tmp_path / "style.png")
    config = StyleConfig().with_values({**QUICK, "colours": colours})
    network = load_network(config.features, pooling=config.pooling, last_tap=config.last_tap())
    prepared = [
        prepare(kind, (tmp_path / f"{kind}.png").read_bytes(), kind, config, network=network, device="cpu")[0]
        for kind in ("content", "style")
    ]
    [batch] = optimize.stylize_together(
        [PairInputs(*prepared, None, None).request()], config, network=network
    )
    called = stylize(tmp_path / "content.png", tmp_path / "style.png", config=config, network=network)
    np.testing.assert_array_equal(called.pixels, np.rint(batch.picture * 255).astype(np.uint8))
    on_white = stylize(tmp_path / "content.png", np.where(alpha[..., None] > 0, PAINTING, 255), config=config)
    assert np.abs(called.pixels.astype(int) - on_white.pixels).mean() > 0.3


def test_an_open_image_keeps_its_turn(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    Image.fromarray(PHOTO[:16]).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "turned.jpg") as image:
        made = stylize(image, PAINTING, **QUICK)
    assert made.pixels.shape == (32, 16, 3)
    np.testing.assert_array_equal(made.pixels, stylize(tmp_path / "turned.jpg", PAINTING, **QUICK).pixels)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]
)
def test_an_image_of_any_mode_is_read(mode: str) -> None:
    colour = Image.new("RGB", (SIZE, SIZE), (200, 100, 50))
    if mode == "LAB":
        profiles = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
        image = ImageCms.profileToProfile(colour, *profiles, outputMode="LAB")
    elif mode == "I;16":
        image = Image.fromarray(np.full((SIZE, SIZE), 100 * 257, np.uint16))
    else:
        image = colour.quantize() if mode == "P" else colour.convert(mode)
    assert image is not None and image.mode == mode
    kept = stylize(image, PAINTING, iterations=1, scales=1, size=SIZE, style_weight=0, tv_weight=0).pixels
    grey: dict[str, object] = {"1": None, "L": 124, "LA": 124, "I": 124, "F": 124, "I;16": 100}
    if mode in grey:
        assert np.ptp(kept, axis=2).max() == 0
    wanted = grey.get(mode, (200, 100, 50))
    if wanted is not None:
        assert np.abs(kept.astype(int) - wanted).max() <= 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"content": None},
            "the content picture must be a file, a Pillow image, an array or a tensor, not None",
        ),
        ({"styles": [3]}, "a style picture must be a file"),
        (
            {"content": torch.zeros(3, 32, 32)},
            r"the content picture must have the shape \(height, width, 3\)",
        ),
        ({"masks": [{}]}, "a mask must be a file"),
        ({"masks": np.zeros((2, 2, 2, 2))}, "a mask must have the shape"),
        ({"masks": np.full((4, 4), 7.0)}, r"a mask must have values in \[0, 1\]"),
        ({"masks": "no/such.png"}, "no/such.png cannot be read: no such file"),
        ({"masks": [None, None]}, "as many masks as styles"),
        ({"start": 5}, "the start picture must be a file"),
    ],
)
def test_what_is_no_picture_is_one_line(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        stylize(**{"content": PHOTO, "styles": PAINTING, **QUICK, **arguments})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_closed_image_is_one_line(tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    with Image.open(tmp_path / "photo.png") as image:
        pass
    with pytest.raises(ConfigError, match="the content picture cannot be read") as caught:
        stylize(image, PAINTING, **QUICK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"size": 3}, "--size must lie between"), ({"sise": 32}, "sise"), ({"iterations": "x"}, "--iterations")],
)
def test_a_wrong_setting_is_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        stylize(PHOTO, PAINTING, **settings)
    assert "\n" not in str(caught.value)
