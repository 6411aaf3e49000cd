"""Small JPEGs of pictures, for the contact sheet."""

import io

from PIL import Image

from styletransfer.pictures.resizing import Pixels, fitted_size, on_white, resize

THUMB_SIDE_PX = 336  # twice the size on the page, for dense screens


def thumbnail(rgb: Pixels, alpha: Pixels | None = None) -> bytes:
    """A small JPEG of a picture, composed on white."""
    size = fitted_size((rgb.shape[1], rgb.shape[0]), THUMB_SIDE_PX)
    rgb, alpha = resize(rgb, alpha, size)
    file = io.BytesIO()
    Image.fromarray(rgb if alpha is None else on_white(rgb, alpha)).save(file, "JPEG", quality=82)
    return file.getvalue()
