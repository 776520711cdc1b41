"""How much work a training is, by its settings alone: what is decided by it is the same on every machine."""

from parity.experiment.spec import Identity

# Of one sample and one weight of a layer: a product and a sum, forward, for the weight's gradient, and for the input's.
OPERATIONS = 6
# What a step takes whatever its size, as so many operations: about as long as a core takes for them, 1 ms.
PER_STEP = 50_000_000
# A training of so much work takes some ten seconds on a core; its twins are three more.
LIMIT = 300_000_000_000


def estimated(identity: Identity, steps: int) -> int:
    """Operations of so many steps."""
    products = sum(layer.inputs * layer.units for layer in identity.layers)
    return steps * (OPERATIONS * identity.schedule.batch_size * products + PER_STEP)
