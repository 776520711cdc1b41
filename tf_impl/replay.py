"""One step from a given state, with everything it computed."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from parity.spec import Identity, Realisation
from tf_impl import state as states
from tf_impl.losses import loss
from tf_impl.train import Build, build, train_step


def replay(
    function: Build,
    identity: Identity,
    realisation: Realisation,
    state: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    labels: np.ndarray,
    device: str,
) -> dict[str, np.ndarray]:
    """Train one step on inputs [batch, features] and labels [batch] from `state`.

    Returns, in the order of the computation, `outputs/<node>` [batch, units], `cost`, `gradients/<weight>` and the
    state after it (`weights/...`, `slots/...`, `step`), in the dtype set in `runtime`.
    """
    model, updater = build(function, identity, realisation, device)
    states.write(model, updater, state)
    with tf.device(device):
        done = train_step(model, loss(identity.loss), updater, tf.constant(inputs), tf.constant(labels))
    arrays = {f"outputs/{name}": value.numpy() for name, value in done.outputs.items()}
    arrays["cost"] = done.cost.numpy()
    arrays |= {f"gradients/{name}": value for name, value in states.gradients(model, done.gradients).items()}
    return arrays | states.read(model, updater, int(state["step"]) + 1)
