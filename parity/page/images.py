"""Small pictures inside of a page."""

import math
from base64 import b64encode
from io import BytesIO

import numpy as np
from matplotlib import image
from numpy.typing import NDArray


def digit(pixels: NDArray[np.uint8]) -> str:
    """A square image [pixels] of grey values, 0 is white, as a data URI."""
    side = math.isqrt(pixels.size)
    content = BytesIO()
    image.imsave(content, 255 - pixels.reshape(side, side), cmap="gray", vmin=0, vmax=255, format="png")
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"
