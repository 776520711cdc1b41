"""The stages of one training step: what each gives, and how large its rounding may be.

A stage is run by itself on recorded inputs, so its rounding is that of a few operations, and no earlier stage's error
is amplified by it. Its size is measured against the *condition scale* S of each element: the sum of the magnitudes of
what is added there, not the size of the result, which may have cancelled to nothing. With u the unit roundoff, an
honest result lies within

    ALLOWED[kind][framework] * u * S

of the exact one. A sum of n terms has n S in place of S (parity/bounds/sums.py), which holds in any order and of any
terms, so its row is 1. What may be lost by underflow is in the scale, too; nowhere is it less than the smallest normal
number. Two results of one stage may be apart by both sides' allowances. A scale that is infinite says nothing, since a
number may overflow.

docs/lockstep.md has the table with what was measured for each row; `python -m benchmarks.lockstep` makes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import clipping, lbfgs
from parity.bounds.losses import rounding
from parity.bounds.measure import Tolerance, largest_finite
from parity.bounds.nodes import dropout, embedding
from parity.bounds.nodes.kind import Given
from parity.bounds.nodes.table import kind
from parity.bounds.optimizer_formulas import update
from parity.bounds.precision import Sum
from parity.bounds.rows import ALLOWED
from parity.bounds.running_error import UNIT_ROUNDOFF, exact, followed, largest_number, smallest_normal, where
from parity.bounds.sums import within_range
from parity.experiment.nodes import Embedding
from parity.experiment.optimizers import LBFGS
from parity.experiment.spec import Dtype, Identity, Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# The power of the largest number beyond which an update may overflow on its way: it squares what is divided by a root.
HUGE = 0.2


@dataclass(frozen=True)
class Result:
    """A tensor that a stage gives: its name in a replay, its stage, and its row of ALLOWED."""

    name: str
    stage: str
    kind: str


def results(identity: Identity) -> list[Result]:
    """The results of one step's stages, in the order of the computation."""
    nodes = identity.model
    found = []
    for node in nodes:
        found.append(Result(f"outputs/{node.name}", f"forward {node.name}", kind(node).forward_row(node)))
        for name in kind(node).statistic_names(node):
            found.append(
                Result(f"statistics/{node.name}/{name}", f"running statistics {node.name}", "running statistic")
            )
    found.append(Result("cost", "loss", identity.loss))
    found.append(Result(f"deltas/{nodes[-1].name}", "loss gradient", f"{identity.loss} gradient"))
    for position in reversed(range(len(nodes))):
        node, stage = nodes[position], f"backward {nodes[position].name}"
        for name, row in kind(node).gradient_rows(node).items():
            found.append(Result(f"gradients/{node.name}/{name}", stage, row))
        if position:
            found.append(Result(f"deltas/{nodes[position - 1].name}", stage, kind(node).backward_row(node)))
    if identity.clipping is not None:
        found += [Result(f"clipped/{name}", "clipping", f"clip {identity.clipping.by}") for name in identity.weights]
    optimizer = identity.optimizer.kind
    for name in identity.weights:
        for slot in identity.optimizer.slots:
            found.append(Result(f"slots/{slot}/{name}", "optimizer", f"{optimizer} slots"))
        found.append(Result(f"weights/{name}", "optimizer", f"{optimizer} weights"))
    return found


def scales(
    identity: Identity,
    realisation: Realisation,
    state: Arrays,
    recorded: Arrays,
    inputs: Array,
    labels: Array,
    dtype: Dtype,
) -> dict[str, Tolerance]:
    """u S for every result in `dtype`, elementwise, from the stages' inputs, which are widened to float64."""
    u = UNIT_ROUNDOFF[dtype]
    with np.errstate(all="ignore"):
        # What is not finite has no scale: nothing is said of what is computed from it.
        found = node_scales(identity, realisation, state, recorded, inputs, u)
        found |= loss_scales(identity, recorded, labels, u)
        found |= clipping_scales(identity, realisation, recorded, u)
        tolerances = {name: Tolerance(at_least(scale, u)) for name, scale in found.items()}
        return tolerances | optimizer_scales(identity, realisation, state, recorded, inputs, u)


def node_scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, u: float
) -> dict[str, Array]:
    """The scales of outputs, running statistics, the gradients of weights, and all deltas but the last node's."""
    found: dict[str, Array] = {}
    factors = dropout.factors(identity, state, len(inputs))
    for given, delta in nodes_given(identity, realisation, state, recorded, inputs, factors, u):
        here, before = kind(given.node).stage_bounds(given, delta)
        found |= here if given.first else here | {f"deltas/{given.before}": before}
    return found


def nodes_given(
    identity: Identity,
    realisation: Realisation,
    state: Arrays,
    recorded: Arrays,
    inputs: Array,
    factors: Arrays,
    u: float,
) -> Iterator[tuple[Given, Array]]:
    """Each node with its recorded input, and the recorded delta by its output; `factors` are those of dropouts."""
    x, before = inputs, None
    for node in identity.model:
        given = Given(node, realisation, state, x, u, factor=factors.get(node.name), before=before)
        yield given, recorded[f"deltas/{node.name}"]
        x, before = recorded[f"outputs/{node.name}"], node.name


def sums(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array
) -> dict[str, Sum]:
    """The terms that are added in each result that is a tensor of sums, by its name."""
    found: dict[str, Sum] = {}
    for given, delta in nodes_given(identity, realisation, state, recorded, inputs, {}, 0.0):
        here, before = kind(given.node).sums(given, delta)
        found |= here if before is None else here | {f"deltas/{given.before}": before}
    return found


def loss_scales(identity: Identity, recorded: Arrays, labels: Array, u: float) -> dict[str, Array]:
    """The scales of the cost and of the last node's delta."""
    last = identity.model[-1].name
    found = rounding(identity.loss, recorded[f"outputs/{last}"], labels)
    # The mean over the batch is a sum of so many terms, whatever else the row allows.
    mean = found.terms * found.cost / min(ALLOWED[identity.loss].values())
    cost = within_range(u * (found.cost + mean) + smallest_normal(u), found.terms * found.cost, u)
    delta = within_range(u * found.gradient_scale + smallest_normal(u), found.gradient_scale, u)
    return {"cost": cost, f"deltas/{last}": delta}


def optimizer_scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, u: float
) -> dict[str, Tolerance]:
    """The scales of the slots and weights after the update: the running error of its formula."""
    given = {name: exact(gradient, u) for name, gradient in gradients(identity, recorded, clipped=True).items()}
    return {name: tolerance(r) for name, r in updated(identity, realisation, state, inputs, given, u).items()}


def tolerance(number: Any) -> Tolerance:
    """How far rounding may take a Rounded number."""
    scale = number.error
    if number.reach is not None:
        scale = np.where(number.reach < largest_number(number.u), scale, np.inf)
    return Tolerance(at_least(scale, number.u), number.ends, number.branch)


def at_least(scale: Array, u: float) -> Array:
    """The scale, nowhere less than the smallest normal number: what lies below it, a kernel may take for zero."""
    return np.maximum(scale, smallest_normal(u))


def taken_gradient(identity: Identity, weight: str) -> str:
    """What the gradient of a weight that the optimizer takes is recorded as."""
    return f"{'gradients' if identity.clipping is None else 'clipped'}/{weight}"


def gradients(identity: Identity, recorded: Arrays, clipped: bool = False) -> dict[str, Array]:
    """Each weight's recorded gradient by its name; with `clipped`, as the optimizer takes it."""
    return {
        name: recorded[taken_gradient(identity, name) if clipped else f"gradients/{name}"] for name in identity.weights
    }


def clipping_scales(identity: Identity, realisation: Realisation, recorded: Arrays, u: float) -> dict[str, Array]:
    """The scales of the clipped gradients, where gradients are clipped."""
    if identity.clipping is None:
        return {}
    found = clipping.bounds(identity.clipping, realisation, gradients(identity, recorded), u)
    return {f"clipped/{name}": bound for name, bound in found.items()}


def updated(
    identity: Identity,
    realisation: Realisation,
    state: Arrays,
    inputs: Array,
    gradients: Mapping[str, Any],
    u: float | None,
) -> dict[str, Any]:
    """The optimizer's step as its formula gives it, with its running error where `u` is given."""
    if isinstance(identity.optimizer, LBFGS):
        return lbfgs.updated(identity.optimizer, state, gradients, u)
    found: dict[str, Any] = {}
    first = identity.layers[0]
    rows = embedding.named(first, inputs) if identity.sparse and isinstance(first, Embedding) else None
    for name, gradient in gradients.items():
        w: Any = state[f"weights/{name}"]
        slots: dict[str, Any] = {slot: state[f"slots/{slot}/{name}"] for slot in identity.optimizer.slots}
        if u is not None:
            sizes = [identity.optimizer.learning_rate, *map(largest_finite, (w, gradient.value, *slots.values()))]
            huge = max(sizes) > largest_number(u) ** HUGE
            w, slots = exact(w, u), {slot: exact(value, u) for slot, value in slots.items()}
            if huge:
                w, gradient, slots = followed(w), followed(gradient), {n: followed(v) for n, v in slots.items()}
        new_w, new_slots = update(identity.optimizer, realisation, int(state["step"]), w, gradient, slots)
        if rows is not None:
            new_w = where(rows, new_w, w)
            new_slots = {slot: where(rows, value, slots[slot]) for slot, value in new_slots.items()}
        found |= {f"slots/{slot}/{name}": value for slot, value in new_slots.items()} | {f"weights/{name}": new_w}
    return found
