"""What draws the value of each option of `parity.run`, from the tables that the command line reads."""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np

from parity.data.datasets import steps_per_pass
from parity.experiment.nodes import NUMBERED, ActivationName, InitializerName
from parity.experiment.optimizers import LBFGS, OPTIMIZERS, ClipBy, Optimizer
from parity.experiment.requested import COSTS, choose
from parity.experiment.spec import DTYPES, FRAMEWORKS, EpochCost, Experiment, Identity, Realisation, TestLoss, is_read

Random = np.random.Generator
# (generator, the experiment so far) -> the option's values, mostly one; none leaves it out
Drawer = Callable[[Random, Experiment], list[str]]
# Of the fields of an optimizer.
FIELD_SHARE = 0.4
# Samples of the training set: the embedded digits, and XOR.
DIGITS, XOR = 4000, 4
# Weights times samples that the steps of a run may take together, so that a pair takes seconds.
WORK = 2e9
# Ends of the range of any number, tried where the optimizer takes them.
EXTREMES = (0.0, 1e-16, 1e-4, 0.5, 0.999999, 1.0, 1e3)

# Each is options with the values to pick from.
DEGENERATE: dict[str, dict[str, tuple[str, ...]]] = {
    "zeros": {"--init": ("zeros",)},
    "ones": {"--init": ("ones",)},
    "constant": {"--init": ("constant:0.1", "constant:-1", "constant:0.5", "constant:1e3")},
    "huge": {"--init": ("normal:100", "uniform:1e6", "constant:1e30", "normal:1e15")},
    "tiny": {"--init": ("normal:1e-12", "constant:1e-20", "constant:1e-38", "uniform:1e-30")},
    "dead": {"--init": ("constant:-1",), "--activation": ("relu",)},
    "saturated": {"--init": ("normal:50",), "--activation": ("sigmoid", "tanh", "hard_sigmoid", "softmax")},
    "far steps": {"--lr": ("1e3", "1e6", "1e30", "1e100")},
    "no steps": {"--lr": ("1e-12", "1e-30", "1e-100")},
    "dropped": {"--dropout": ("0.99", "0.999")},
    "clipped": {"--clip": ("value:1e-30", "norm:1e-30", "global_norm:1e-30", "global_norm:1e-6", "norm:1e6")},
    "one sample": {"--batch-size": ("1",)},
    "large batches": {"--batch-size": ("500", "1000", "4000")},
}  # fmt: skip


def pick(rng: Random, values: Sequence[Any]) -> Any:
    """One of the values, each as likely."""
    return values[rng.integers(len(values))]


def between(rng: Random, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def written(value: Any) -> str:
    """A number or a flag as a user types it."""
    return str(value).lower() if isinstance(value, bool | int) else f"{value:.6g}"


def chance(share: float, drawer: Drawer) -> Drawer:
    """The same in this share of the draws."""
    return lambda rng, made: drawer(rng, made) if rng.random() < share else []


def among(names: Callable[[], Sequence[str]]) -> Drawer:
    """One of the names that a table has when it is drawn."""
    return lambda rng, made: [pick(rng, names())]


def init(rng: Random, made: Experiment) -> list[str]:
    """An initializer, with its number where it takes one."""
    name = pick(rng, get_args(InitializerName))
    number = between(rng, 1e-3, 3) * (pick(rng, (1, -1)) if name == "constant" else 1)
    return [f"{name}:{written(number)}" if name in NUMBERED else name]


def optimizer(rng: Random, made: Experiment) -> list[str]:
    """An optimizer with some of its fields."""
    name = pick(rng, list(OPTIMIZERS))
    chosen, settings = OPTIMIZERS[name], []
    for field in fields(chosen):
        if field.name in ("kind", "learning_rate") or rng.random() > FIELD_SHARE:
            continue
        text = written(near(rng, getattr(chosen, field.name)))
        changed = with_field(chosen, field.name, text)
        if changed is not None:
            chosen = changed
            settings.append(f"{field.name}={text}")
    return [f"{name}:{','.join(settings)}" if settings else name]


def near(rng: Random, default: Any) -> Any:
    """A value for a number with this default: near it, or one that is extreme."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return int(rng.integers(1, 2 * default + 1))
    if rng.random() < 0.5:
        return pick(rng, EXTREMES)
    if default == 0:
        return between(rng, 1e-4, 0.99)
    factor = between(rng, 0.25, 4)
    return 1 - (1 - default) * factor if 0.5 <= default < 1 else default * factor


def with_field(chosen: Optimizer, name: str, text: str) -> Optimizer | None:
    """The optimizer with a field, or None if it does not take the value."""
    kind = type(getattr(chosen, name))
    try:
        return replace(chosen, **{name: text == "true" if kind is bool else kind(text)})
    except ValueError:
        return None


def clip(rng: Random, made: Experiment) -> list[str]:
    """A way of clipping with its limit."""
    return [f"{pick(rng, get_args(ClipBy))}:{written(between(rng, 1e-4, 100))}"]


def batch_size(rng: Random, made: Experiment) -> list[str]:
    """A size up to that of the training set, which is the only one that L-BFGS takes."""
    samples = set_size(made.identity)
    if isinstance(made.identity.optimizer, LBFGS) and rng.random() < 0.95:
        return [str(samples)]
    share = 0.2 if samples == XOR else 0.5
    return [str(int(between(rng, 1, min(samples, 500) + 1)))] if rng.random() < share else []


def set_size(identity: Identity) -> int:
    """How many samples are trained on."""
    return XOR if identity.data == "xor" else DIGITS


def epochs(rng: Random, made: Experiment) -> list[str]:
    """One, where that is not too many steps."""
    schedule = made.identity.schedule
    count = steps_per_pass(schedule, set_size(made.identity)) * schedule.passes_per_epoch
    return ["1"] if count <= 2 * most_steps(made.identity) else []


def steps(rng: Random, made: Experiment) -> list[str]:
    """From 5 on digits, and from 20 on XOR, up to what a pair has time for."""
    low = 20 if made.identity.data == "xor" else 5
    return [str(int(between(rng, low, most_steps(made.identity) + 1)))]


def most_steps(identity: Identity) -> int:
    """What a pair has time for."""
    return 200 if identity.data == "xor" else int(min(max(WORK / work(identity), 6), 150))


def work(identity: Identity) -> int:
    """Of a step: weights times samples."""
    return identity.schedule.batch_size * sum(math.prod(shape) for shape in identity.weight_shapes.values())


def seed(rng: Random, made: Experiment) -> list[str]:
    """Small as a user has it, or any that is taken."""
    return [str(pick(rng, (int(rng.integers(100)), int(rng.integers(2**64, dtype=np.uint64)), 2**64 - 1)))]


def checkpoints(rng: Random, made: Experiment) -> list[str]:
    """How many, or which; few where a step is much work, which is done again from each."""
    schedule = made.identity.schedule
    if rng.random() < 0.8 or schedule.unit != "steps":
        return [str(rng.integers(2, 13 if work(made.identity) < WORK / 5 else 4))]
    listed = sorted({int(step) for step in rng.integers(schedule.duration, size=3)})
    return [",".join(map(str, listed)) + ","]


def choice(rng: Random, made: Experiment) -> list[str]:
    """Some choices that matter here, the same on both sides."""
    found, share = [], pick(rng, (0.0, 0.0, 0.5, 1.0))
    for field in fields(Realisation):
        values = get_args(field.type)
        if values and any(is_read(field.name, made.identity, getattr(made, side)) for side in FRAMEWORKS):
            text = f"{field.name}={pick(rng, values)}"
            if rng.random() < share:
                made = choose(made, text)
                found.append(text)
    return found


# In the order in which they are drawn: later ones look at what the earlier ones made.
DRAWERS: dict[str, Drawer] = {
    "--activation": chance(0.6, among(lambda: get_args(ActivationName))),
    "--init": chance(0.5, init),
    "--init-from": chance(0.06, among(lambda: FRAMEWORKS)),
    "--optimizer": chance(0.75, optimizer),
    "--lr": chance(0.7, lambda rng, made: [written(between(rng, *pick(rng, ((1e-6, 10), (1e-4, 0.1)))))]),
    "--cost": chance(0.3, among(lambda: list(COSTS))),
    "--dropout": chance(0.15, lambda rng, made: [written(rng.uniform(0.02, 0.95))]),
    "--clip": chance(0.2, clip),
    "--dtype": chance(0.5, among(lambda: DTYPES)),
    "--batch-size": batch_size,
    "--epochs": chance(0.04, epochs),
    "--steps": steps,
    "--epoch-cost": chance(0.1, among(lambda: get_args(EpochCost))),
    "--test-loss": chance(0.1, among(lambda: get_args(TestLoss))),
    "--seed": chance(0.8, seed),
    "--checkpoints": checkpoints,
    "--verdict": lambda rng, made: ["full" if rng.random() < 0.2 else "quick"],
    "--choice": choice,
}
NOT_DRAWN = {
    "--help": "it is no run",
    "--data": "the embedded digits are everywhere, and what is computed does not depend on which digits they are",
    "--data-dir": "the same",
    "--device": "what is judged here is made on a CPU",
    "--initial-weights": "a file; what the weights begin with is drawn by --init, --init-from and --seed",
    "--batch-order": "a file; the order is drawn by --seed",
    "--time-limit": "it ends a process, and changes nothing before",
    "--out": "a folder",
    "--quiet": "it changes what is printed alone",
}
