"""The layouts in which torch may hold a tensor that Keras has with its channels last."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.models.calls import Call

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """What makes Keras's array torch's: a conventional order of axes, never one found because it fits."""

    name: str
    turn: Callable[[Array], Array]

    def back(self, array: Array, shape: tuple[int, ...]) -> Array:
        """torch's array as Keras's, of that shape."""
        places = self.turn(np.arange(array.size).reshape(shape))
        found = np.empty(array.size, array.dtype)
        found[places.reshape(-1)] = array.reshape(-1)
        return found.reshape(shape)


SAME = Layout("the same", lambda array: array)
CHANNELS_FIRST = Layout("channels first", lambda array: np.moveaxis(array, -1, 1))
TIME_FIRST = Layout("time first", lambda array: np.swapaxes(array, 0, 1))


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its axes of size 1, but for the first, the batch."""
    return (*shape[:1], *(n for n in shape[1:] if n != 1))


def layouts(
    keras: tuple[int, ...], torch: tuple[int, ...], before: tuple[tuple[int, ...], ...] = ()
) -> Iterator[Layout]:
    """Every layout that makes a shape of Keras's one of torch's; `before` are those of which a flattened one was made.

    The channels come first where either would do: that is how torch has feature maps.
    """
    turned = (*keras[:1], *keras[-1:], *keras[1:-1]) if len(keras) > 2 else keras
    if len(keras) > 2 and turned == torch:
        yield CHANNELS_FIRST
    if keras == torch:
        yield SAME
    if len(keras) == 3 and (keras[1], keras[0], keras[2]) == torch:
        yield TIME_FIRST
    if keras != torch and turned != torch:
        if without_ones(turned) == without_ones(torch) and turned != keras:
            yield Layout("channels first, axes of size 1", lambda array: np.moveaxis(array, -1, 1).reshape(torch))
        if without_ones(keras) == without_ones(torch):
            yield Layout("axes of size 1", lambda array: array.reshape(torch))
    if len(keras) == 2 and keras == torch:
        for shape in before:
            if len(shape) > 2 and math.prod(shape) == math.prod(keras):
                yield Layout("flattened channel by channel", partial(by_channel, shape))


def by_channel(shape: tuple[int, ...], array: Array) -> Array:
    """A flattened feature map of this shape as it is when its channels come first."""
    return np.moveaxis(array.reshape(shape), -1, 1).reshape(array.shape)


def of_calls(keras: Call, torch: Call) -> list[Layout]:
    """Every layout of two tensors that were made."""
    return list(layouts(keras.shape, torch.shape, keras.inputs))
