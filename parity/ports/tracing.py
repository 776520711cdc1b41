"""What a side's training is made of: its loss of given results, and what its optimizer does at each step."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from parity.models.trees import leaves, mapped
from parity.ports.arrays import Arrays
from parity.ports.session import Plan, Session, Sink, Start, nudged
from parity.ports.source import telling

Facts = dict[str, Any]


def losses(session: Session, plan: Plan, outputs: Arrays, variants: list[Facts], sink: Sink) -> Facts:
    """The user's loss of given results, by their names, once for each variant.

    The sink gets "N/loss", "N/gradient/RESULT" of the N-th variant, where the user's code takes it, "N/moves" and
    "N/moves/RESULT", by how much these move with the results' last digits, "penalty" of the layers and "targets/NAME".
    Facts: "calls" of stock losses in the loss as it is.
    """
    model, side = session.model("float64"), session.side
    batch = session.batch.in_precision("float64")
    side.own.write(model, Start(plan.weights, "float64", None))
    with session.exactly():
        done = session.forward(model, session.inputs(batch), bool(plan.steps))
    names = {id(tensor): name for name, tensor in leaves(done.outputs).items()}

    def given(values: Mapping[str, Any]) -> Any:
        """The model's results with these values."""
        found = {name: side.own.given(value, None) for name, value in values.items()}
        return mapped(lambda tensor: found.get(names[id(tensor)], tensor), done.outputs)

    results = given(outputs), given({n: nudged(value, 0, i) for i, (n, value) in enumerate(outputs.items())})
    sink("penalty", side.costs.penalty(model)[0])
    for name, value in leaves(batch.y).items():
        sink(f"targets/{name}", np.asarray(value))
    calls: list[Facts] = []
    for number, variant in enumerate(variants):
        try:
            with session.exactly():
                both = [
                    side.costs.evaluated(model, session.source.loss, session.targets(batch), one, variant)
                    for one in results
                ]
        except Exception:
            # A variant may be no loss of these shapes at all; the loss as it is was taken before.
            if not variant:
                raise
            continue
        (value, by, seen), (other, others, _) = both
        calls = seen if not variant else calls
        if value.shape == ():
            sink(f"{number}/loss", value)
            sink(f"{number}/moves", np.abs(value - other))
            for name, gradient in by.items():
                sink(f"{number}/gradient/{name}", gradient)
                sink(f"{number}/moves/{name}", np.max(np.abs(gradient - others[name]), initial=0.0))
    return {"calls": calls}


@contextmanager
def with_loss(session: Session, variant: Facts) -> Iterator[None]:
    """Let training have a changed loss, also where the user's own step() calls it."""
    source = session.source
    if not variant or source.loss is None:
        yield
        return
    loss = session.side.costs.wrapped(source.loss, variant)
    own = getattr(source.step, "__globals__", {})
    names = [name for name, value in own.items() if value is source.loss]
    session.source = replace(source, loss=loss)
    own.update(dict.fromkeys(names, loss))
    try:
        yield
    finally:
        session.source = source
        own.update(dict.fromkeys(names, source.loss))


def trace(session: Session, plan: Plan, visits: Mapping[str, Any] | None, sink: Sink) -> Facts:
    """Steps of the user's training, each from the weights in `visits`, "N/WEIGHT", or where the last one ended.

    The sink gets "before/N/WEIGHT", "after/N/WEIGHT", "gradient/N/WEIGHT", "squares/N/WEIGHT", "penalty/N/WEIGHT",
    "costs". Facts: "settings" by weight, "rates" by weight for each step, "place" of the optimizer, "calls" of stock
    losses, "clipping", and "steps" that the optimizer took for each of them.
    """
    side, source, batch = session.side, session.source, session.batch.in_precision("float64")
    model = session.model("float64")
    side.own.write(model, Start(plan.weights, "float64", None))
    side.own.freeze(model, list(plan.frozen))
    facts: Facts = {"rates": [], "steps": [], "clipping": []}
    seen: list[Facts] = []
    costs = []
    with session.exactly():
        with telling(f"{session.name}: optimizer()"):
            updater, facts["place"] = side.updates.made(lambda: side.own.optimizer(source.optimizer, model))
        facts["settings"] = side.updates.settings(updater, model)
        for number in range(plan.steps):
            if visits is not None:
                mark = f"{number}/"
                side.updates.visit(model, {n[len(mark) :]: v for n, v in visits.items() if n.startswith(mark)})
            for name, value in side.own.read(model):
                sink(f"before/{number}/{name}", value)
            for name, value in side.costs.penalty(model)[1].items():
                sink(f"penalty/{number}/{name}", value)
            with (
                side.updates.taking(updater, model) as taken,
                side.updates.clipping() as clipped,
                side.costs.watched(seen, {}),
                telling(f"{session.name}: training step {number}"),
            ):
                costs.append(session.step(model, updater, batch))
            facts["steps"].append(len(taken))
            facts["clipping"] += clipped
            for one in taken[:1]:
                facts["rates"].append(one.rates)
                for kind, values in (("gradient", one.gradients), ("squares", one.squares)):
                    for name, value in values.items():
                        sink(f"{kind}/{number}/{name}", value)
            for name, value in side.own.read(model):
                sink(f"after/{number}/{name}", value)
    sink("costs", np.array(costs).reshape(plan.steps))
    facts["calls"] = seen[:1]
    found: Facts = json.loads(json.dumps(facts))
    return found
