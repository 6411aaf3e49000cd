"""Stacked MNIST: three random digits of MNIST as the red, green and blue of a picture, 1,000 classes.

Made as in the tables of mode collapse (Metz et al. 2017, "Unrolled generative adversarial networks";
Srivastava et al. 2017, VEEGAN; Lin et al. 2018, PacGAN): digits are drawn at random with replacement, and the
class is the number that they spell. Departures: pictures have the side of `--resolution` instead of 28
pixels, and the default is 130,000, of which 2,000 are held out, so that the 128,000 of the papers are left to
train on.
"""

import itertools

import numpy as np
import numpy.typing as npt

from common.errors import require
from gan.config import DataConfig
from gan.data.decode import Framing, Squares
from gan.data.picture_list import PictureList, Source, Square

DEFAULT_COUNT = 130_000
_CHANNELS = 3
_VERSION = 1  # raise it whenever the same seed stacks other digits, so that caches are renewed


def stacked_source(config: DataConfig, single: Source) -> Source:
    """Pictures whose channels are pictures of `single`, which are grey and have labels.

    `config.max_images` says how many, `config.data_seed` which.

    Raises: ConfigError for `--colour grey`, and as `single`, when it is opened.
    """
    require(
        config.colour != "grey",
        f"--data {config.source} has a digit in each colour channel, so --colour must be auto or rgb, not "
        "grey; leave it out",
    )

    def open_stacked() -> PictureList:
        return _stacked(single.open(), config.max_images or DEFAULT_COUNT, config.data_seed)

    return Source(identity=f"stacked {single.identity} {_VERSION}", files=single.files, open=open_stacked)


def drawn(count: int, of: int, seed: int) -> npt.NDArray[np.int64]:
    """Which pictures, 0 to `of` - 1, are the channels of each: int64 (count, 3), uniform and independent.

    Row i depends only on the seed and i, on any machine: a smaller count begins with the same rows.
    """
    # uniform floats, since the way from random bits to integers has changed between versions of NumPy
    uniform = np.random.Generator(np.random.Philox(seed)).random((count, _CHANNELS))
    return (uniform * of).astype(np.int64)


def _stacked(single: PictureList, count: int, seed: int) -> PictureList:
    assert single.labels is not None
    rows, base = drawn(count, len(single.names), seed), len(single.class_names)
    places = base ** np.arange(_CHANNELS - 1, -1, -1)

    def read(start: int, stop: int, framing: Framing) -> list[Squares | str]:
        def channel(index: int) -> Square:
            (digit,) = single.read(index, index + 1, framing)
            assert not isinstance(digit, str)  # digits come from an array, which is read as a whole
            return digit.pixels[..., 0]

        return [Squares(np.stack([channel(int(i)) for i in row], axis=-1)) for row in rows[start:stop]]

    return PictureList(
        names=[f"stack {i}" for i in range(count)],
        read=read,
        labels=single.labels[rows] @ places,
        class_names=tuple("".join(map(str, row)) for row in itertools.product(range(base), repeat=_CHANNELS)),
        channel_classes=base,
    )
