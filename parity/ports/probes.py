"""What a side shows without the other: called again, with other samples in the batch, and its loss of parts of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.errors import UsageError
from parity.models.trees import leaves, mapped
from parity.ports.batch import Batch
from parity.ports.session import Plan, Session, Sink, Start
from parity.ports.source import telling

# Into how many parts a batch is cut.
PARTS = (1, 2, 4)


def probe(session: Session, plan: Plan, sink: Sink) -> None:
    """Run what `alone` judges, in float64; what the user's code refuses is left out.

    "alone/mixed/WAY/RESULT" is a result where every second sample is its neighbour once more, "alone/again/WAY/RESULT"
    that of the batch itself, called after it; WAY is eval or predict. "alone/loss/N" are the losses of N parts of the
    batch, "alone/shares" how much of it each of the four is.
    """
    model, batch = session.model("float64"), session.batch.in_precision("float64")
    count = samples(batch)
    if count < 2:
        return
    with session.exactly():
        for way in ("eval", *["predict"] * (session.source.predict is not None)):
            for kind, given in (("mixed", Batch(mixed(batch.x, count), None)), ("again", batch)):
                if kind == "mixed":
                    session.side.own.write(model, Start(plan.weights, "float64", None))
                try:
                    results = called(session, model, given, way)
                except UsageError:
                    continue
                for name, tensor in results.items():
                    sink(f"alone/{kind}/{way}/{name}", session.side.capture.array(tensor))
        session.side.own.write(model, Start(plan.weights, "float64", None))
        if session.source.predict is not None:
            inference(session, model, batch, sink)
            session.side.own.write(model, Start(plan.weights, "float64", None))
        losses(session, model, batch, sink)


def inference(session: Session, model: Any, batch: Batch, sink: Sink) -> None:
    """The user's predict() in eval mode, "alone/settled/RESULT", and how many layers drop numbers: "alone/dropping"."""
    modes, function = session.side.modes, session.source.predict
    with telling(f"{session.name}: predict()"):
        results = session.named_outputs(modes.settled(model, function, session.own_inputs(batch)))
        dropping = modes.dropping(model, function, session.own_inputs(batch))
    for name, tensor in results.items():
        sink(f"alone/settled/{name}", session.side.capture.array(tensor))
    sink("alone/dropping", np.array(len(dropping)))


def samples(batch: Batch) -> int:
    """How many samples a batch has; 0 where its inputs do not agree on it."""
    counts = {array.shape[:1] for array in leaves(batch.x).values() if isinstance(array, np.ndarray)}
    return counts.pop()[0] if len(counts) == 1 and counts != {()} else 0


def mixed(tree: Any, count: int) -> Any:
    """Inputs in which every second sample is the one before it once more."""
    return mapped(lambda array: array[np.arange(count) // 2 * 2], tree)


def called(session: Session, model: Any, batch: Batch, way: str) -> dict[str, Any]:
    """The model's results in eval mode, or what the user's own predict() gives."""
    if way == "eval":
        done = session.forward(model, session.inputs(batch), False)
        done.trace.release()
        return session.named_outputs(done.outputs)
    return session.named_outputs(session.predicted(model, batch))


def losses(session: Session, model: Any, batch: Batch, sink: Sink) -> None:
    """The user's loss of the whole batch and of its parts, each by a pass of its own in eval mode."""
    count, loss = samples(batch), session.source.loss
    targets = leaves(batch.y)
    if loss is None or count < 2 * max(PARTS) or any(np.shape(y)[:1] != (count,) for y in targets.values()):
        return
    found: dict[int, NDArray[Any]] = {}
    try:
        for number in PARTS:
            cuts = np.array_split(np.arange(count), number)
            found[number] = np.array([part_loss(session, model, taken(batch, cut)) for cut in cuts])
    except UsageError:
        return
    for number, values in found.items():
        sink(f"alone/loss/{number}", values)
        sink(f"alone/shares/{number}", np.array([len(cut) for cut in np.array_split(np.arange(count), number)]) / count)


def taken(batch: Batch, rows: NDArray[Any]) -> Batch:
    """Some samples of a batch."""
    return Batch(mapped(lambda array: array[rows], batch.x), mapped(lambda array: array[rows], batch.y))


def part_loss(session: Session, model: Any, batch: Batch) -> NDArray[Any]:
    """The user's loss of a batch."""
    done = session.forward(model, session.inputs(batch), False)
    value: NDArray[Any] = session.lost(done, batch)[1]
    done.trace.release()
    return value
