"""How well gradients flow: their norm in each dense layer, and how many of the layer's units are dead."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity import activations
from parity.nodes import Activation, Dense, PReLU
from parity.spec import Identity, Realisation

Arrays = Mapping[str, NDArray[Any]]


def flow(identity: Identity, realisation: Realisation, state: Arrays, found: Arrays) -> dict[str, NDArray[np.float64]]:
    """What a checkpoint's state and what its stages gave say of each dense layer.

    gradient_norm   [layers] float64: the Euclidean norm of the gradient of the layer's kernel
    dead_units      [layers] float64: the share of units whose activation has the derivative zero for every sample of
                    the batch, so that nothing can be learned of them
    """
    norms = [np.linalg.norm(found[f"gradients/{node.name}/kernel"]) for node in identity.dense]
    return {
        "gradient_norm": np.array(norms, np.float64),
        "dead_units": np.array(dead_units(identity, realisation, state, found), np.float64),
    }


def dead_units(identity: Identity, realisation: Realisation, state: Arrays, found: Arrays) -> list[float]:
    """The share of dead units in each dense layer; 0 where no function of single units follows."""
    shares = []
    behind = [*identity.model[1:], None]
    for node, following in zip(identity.model, behind, strict=True):
        if not isinstance(node, Dense):
            continue
        share = 0.0
        if isinstance(following, Activation | PReLU) and following.function != "softmax":
            slope = state[f"weights/{following.name}/slope"] if isinstance(following, PReLU) else following.slope
            with np.errstate(all="ignore"):
                function = activations.elementwise(following, realisation)
                derivative = function.derivative(found[f"outputs/{node.name}"], slope)
            share = float((derivative == 0).all(axis=0).mean())
        shares.append(share)
    return shares
