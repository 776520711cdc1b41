"""How much each row may round: what is allowed of a stage, in units of u S (parity/bounds/stages.py).

Those of activations and losses stand beside their formulas.
"""

from parity.bounds.activations import FUNCTIONS
from parity.bounds.losses import ALLOWED as LOSSES
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.spec import Framework

# For (Keras, torch). Each is what the operations of the row may round to; the worst element of all experiments uses a
# third to a half of it, but for sums, whose terms seldom round all one way (docs/lockstep.md).
ALLOWED: dict[str, dict[Framework, float]] = {
    kind: {"tf": tf, "torch": torch}
    for kind, tf, torch in (
        # A sum of n products, forward and for both gradients: n (|x| |W| + |b|).
        ("product", 1, 1),
        # Of the samples' deltas, for a bias.
        ("sum", 1, 1),
        # Of a table's rows; of the samples' deltas, for each row.
        ("embedding", 1, 1),
        ("embedding gradient", 1, 1),
        # Means over the batch, a root, and the terms of x g + (beta - mean g); then three sums.
        ("batch_norm", 3, 3),
        ("batch_norm gamma", 3, 3),
        ("batch_norm gradient", 3, 3),
        ("running statistic", 4, 4),
        # The same of a sample's units; gamma's sum is of the batch's samples.
        ("layer_norm", 3, 3),
        ("layer_norm gamma", 3, 3),
        ("layer_norm gradient", 3, 3),
        # The rounding of 1 - rate in torch, of 1 / (1 - rate), and of the product.
        ("dropout", 2, 3),
        ("dropout gradient", 2, 3),
        # exp, a sum over the units, a quotient; then a product, a sum, a difference and a product.
        ("softmax", 7, 7),
        ("softmax gradient", 4, 4),
        # The limit; the norm, a quotient and a product.
        ("clip value", 2, 2),
        ("clip norm", 3, 3),
        ("clip global_norm", 3, 3),
        # Pre-training's u < p0, of the same numbers, and the weights that a step leaves alone (parity/bounds/rbm.py).
        ("samples", 0, 0),
        ("untrained", 0, 0),
    )
}
for name, function in FUNCTIONS.items():
    ALLOWED |= {name: dict(function.allowed), f"{name} gradient": dict(function.gradient_allowed)}
for loss, (of_cost, of_gradient) in LOSSES.items():
    ALLOWED |= {loss: dict(of_cost), f"{loss} gradient": dict(of_gradient)}
# Of a slot and of the weights after the update, whose scale is the running error of all operations that lead to them:
# three times that, since the frameworks order these operations differently.
UPDATE: dict[Framework, float] = {"tf": 3, "torch": 3}
ALLOWED |= {f"{name} {part}": UPDATE for name in OPTIMIZERS for part in ("slots", "weights")}
# Keras keeps a velocity with the learning rate inside, which is divided out of it and multiplied in again.
ALLOWED |= {f"{name} slots": {"tf": 5, "torch": 3} for name in ("sgd", "rmsprop")}


def allowed(kind: str) -> float:
    """What a row allows on whichever side."""
    return max(ALLOWED[kind].values())
