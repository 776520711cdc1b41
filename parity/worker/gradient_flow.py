"""How well gradients flow: their norm in each dense layer, and how many of the layer's units are dead."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import activations
from parity.experiment.nodes import Activation, Layer, PReLU
from parity.experiment.spec import Identity, Realisation

Arrays = Mapping[str, NDArray[Any]]


def flow(identity: Identity, realisation: Realisation, state: Arrays, found: Arrays) -> dict[str, NDArray[np.float64]]:
    """What is shown of each layer: from a checkpoint's state, and from the results of its stages.

    gradient_norm   [layers] float64: the Euclidean norm of the gradient of the layer's kernel or table
    dead_units      [layers] float64: the share of units whose activation has the derivative zero for every sample of
                    the batch, so that nothing can be learned of them
    """
    matrices = [f"{node.name}/{next(iter(node.weight_shapes))}" for node in identity.layers]
    norms = [np.linalg.norm(found[f"gradients/{name}"]) for name in matrices]
    return {
        "gradient_norm": np.array(norms, np.float64),
        "dead_units": np.array(dead_units(identity, realisation, state, found), np.float64),
    }


def dead_units(identity: Identity, realisation: Realisation, state: Arrays, found: Arrays) -> list[float]:
    """The share of dead units in each layer; 0 where no function of single units follows."""
    shares: list[float] = []
    for before, node in pairwise([None, *identity.model]):
        if isinstance(node, Layer):
            shares.append(0.0)
        elif before is not None and isinstance(node, Activation | PReLU) and node.function != "softmax":
            slope = state[f"weights/{node.name}/slope"] if isinstance(node, PReLU) else node.slope
            with np.errstate(all="ignore"):
                derivative = activations.elementwise(node, realisation).derivative(
                    found[f"outputs/{before.name}"], slope
                )
            shares[-1] = float((derivative == 0).all(axis=0).mean())
    return shares
