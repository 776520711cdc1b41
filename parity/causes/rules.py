"""What an optimizer does to a weight, as a rule in words that both frameworks have, and its replay in NumPy.

A rule is a mapping: "method", its numbers, and the choices in which the frameworks differ. The formulas are those of
parity.bounds, which tests hold against the frameworks' stock classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.optimizer_formulas import update
from parity.experiment import optimizers
from parity.experiment.randomness import signs
from parity.experiment.spec import Realisation, own_choices

Array = NDArray[Any]
Rule = Mapping[str, Any]
# As parity.ports.judge has it: by how much two honest runs may differ, in what was measured of rounding.
FACTOR, LAST = 32, 4 * np.finfo(np.float64).eps
# Names of numbers in Keras's configurations, and in torch's groups of weights.
KERAS = {
    "momentum": "momentum", "nesterov": "nesterov", "beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon",
    "amsgrad": "amsgrad", "rho": "rho", "centered": "centered", "initial_accumulator_value": "initial_accumulator",
}  # fmt: skip
TORCH = {
    "momentum": "momentum", "nesterov": "nesterov", "dampening": "dampening", "eps": "epsilon", "amsgrad": "amsgrad",
    "alpha": "rho", "rho": "rho", "centered": "centered", "initial_accumulator_value": "initial_accumulator",
    "momentum_decay": "momentum_decay", "lr_decay": "rate_decay",
}  # fmt: skip
METHODS = {
    "SGD": optimizers.SGD, "Adam": optimizers.Adam, "AdamW": optimizers.Adam, "Adamax": optimizers.Adamax,
    "Nadam": optimizers.NAdam, "NAdam": optimizers.NAdam, "Adagrad": optimizers.Adagrad,
    "Adadelta": optimizers.Adadelta, "RMSprop": optimizers.RMSprop,
}  # fmt: skip
# What of a method either framework chooses in its own way.
CHOICES = {
    "sgd": ("velocity",),
    "adam": ("epsilon_position", "rows"),
    "adamax": ("epsilon_position",),
    "nadam": ("rows",),
    "adagrad": ("epsilon_position", "rows"),
    "adadelta": ("rows",),
    "rmsprop": ("epsilon_position", "velocity", "rows"),
}
OWN: Mapping[str, Mapping[str, str]] = {
    "keras": {"epsilon_position": "keras", "velocity": "with the rate", "rows": "each"},
    "torch": {"epsilon_position": "torch", "velocity": "without the rate", "rows": "summed"},
}
CLIPS = {"clipnorm": "each", "global_clipnorm": "all", "clipvalue": "value"}


def close(a: Array, b: Array, rounding: float) -> bool:
    """Whether two arrays differ by rounding alone."""
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    size = float(np.max(np.abs(a), initial=0.0))
    return bool(np.max(np.abs(a - b), initial=0.0) <= FACTOR * rounding + LAST * size)


@dataclass
class Steps:
    """What one side's optimizer did to the weights of a pair: lists over steps of arrays by name.

    `squares` are sums of squares where a gradient is added up from the uses of a row, `rates` the learning rates.
    """

    before: list[dict[str, Array]]
    after: list[dict[str, Array]]
    gradients: list[dict[str, Array]]
    squares: list[dict[str, Array]]
    rates: list[dict[str, float]]


class Repeated(np.ndarray):
    """A gradient that is a sum, the square of which is taken of each part by itself."""

    squares: Array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc is np.square:
            return self.squares
        plain = [x.view(np.ndarray) if isinstance(x, Repeated) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)


def repeated(gradient: Array, squares: Array) -> Repeated:
    """A gradient with the squares of its parts."""
    found: Repeated = gradient.view(Repeated)
    found.squares = squares
    return found


def keras_rule(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rule of a Keras optimizer; None where it is not one that is known."""
    if settings["kind"] not in METHODS or settings.get("gradient_accumulation_steps"):
        return None
    method = METHODS[settings["kind"]]
    rule = named(settings, KERAS, method) | {"weight_decay": settings.get("weight_decay") or 0.0, "decay": "decoupled"}
    if method is optimizers.NAdam:
        rule["momentum_decay"] = 1.0
    clips = [(kind, settings[name]) for name, kind in CLIPS.items() if settings.get(name)]
    return {**rule, **own_ways("keras", rule["method"]), "maximize": False, "clip": clips[0] if clips else None}


def torch_rule(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rule of a torch optimizer; None where it is not one that is known."""
    if settings["kind"] not in METHODS:
        return None
    rule = named(settings, TORCH, METHODS[settings["kind"]])
    if "betas" in settings:
        rule |= {"beta_1": settings["betas"][0], "beta_2": settings["betas"][1]}
    decoupled = settings["kind"] == "AdamW" or settings.get("decoupled_weight_decay")
    rule |= {"weight_decay": settings.get("weight_decay") or 0.0, "decay": "decoupled" if decoupled else "coupled"}
    return {**rule, **own_ways("torch", rule["method"]), "maximize": bool(settings.get("maximize")), "clip": None}


def named(settings: Mapping[str, Any], names: Mapping[str, str], method: Any) -> dict[str, Any]:
    """The numbers of a method that the settings have."""
    kind = next(f.default for f in fields(method) if f.name == "kind")
    numbers = {own: settings[name] for name, own in names.items() if settings.get(name) is not None}
    known = {f.name for f in fields(method)} | {"amsgrad", "dampening", "rate_decay"}
    if kind == "sgd":
        numbers = {"momentum": 0.0, "nesterov": False, "dampening": 0.0} | numbers
    return {"method": str(kind), **{name: value for name, value in numbers.items() if name in known}}


def own_ways(framework: str, method: str) -> dict[str, str]:
    """What a framework chooses for a method."""
    return {name: OWN[framework][name] for name in CHOICES.get(method, ())}


def varied(rule: Rule) -> Iterator[dict[str, Any]]:
    """The rule with each combination of the frameworks' own ways, as one may write it by hand; itself first."""
    names = [*CHOICES.get(rule["method"], ()), "decay"]
    options = [
        [rule[n], *({OWN["keras"].get(n, "decoupled"), OWN["torch"].get(n, "coupled")} - {rule[n]})] for n in names
    ]
    for values in product(*options):
        yield {**rule, **dict(zip(names, values, strict=True)), "clip": None}


def clipped(gradients: Mapping[str, Array], clip: tuple[str, float] | None, extra: float = 0.0) -> dict[str, Array]:
    """Gradients kept within a limit: each by its norm, all by theirs, or each element; `extra` is added to a norm."""
    if clip is None:
        return dict(gradients)
    kind, limit = clip
    if kind == "value":
        return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}
    sizes = {name: float(np.sqrt(np.sum(np.square(g)))) for name, g in gradients.items()}
    if kind == "all":
        sizes = dict.fromkeys(sizes, float(np.sqrt(sum(size**2 for size in sizes.values()))))
    return {name: g * min(1.0, limit / (sizes[name] + extra)) if sizes[name] else g for name, g in gradients.items()}


def replayed(rule: Rule, steps: Steps, names: Sequence[str], nudge: int | None = None) -> list[dict[str, Array]]:
    """The weights after each step by a rule, each from the recorded weights before it.

    With `nudge`, weights and gradients are moved by a unit in the last place, at random: what rounding may do.
    """
    slots: dict[str, dict[str, Any]] = {}
    found = []
    for t, gradients in enumerate(steps.gradients):
        gradients = clipped(gradients, rule.get("clip"))
        made = {}
        for name in names:
            if name not in gradients:
                made[name] = steps.before[t][name]
                continue
            w, g = (moved(x, nudge, t) for x in (steps.before[t][name], gradients[name]))
            g = -g if rule.get("maximize") else g
            if rule.get("rows") == "each" and name in steps.squares[t]:
                g = repeated(g, steps.squares[t][name])
            rates = [step[name] for step in steps.rates[: t + 1]]
            made[name], slots[name] = one_step(rule, t, w, g, slots.get(name), rates)
        found.append(made)
    return found


def moved(array: Array, nudge: int | None, position: int) -> Array:
    """An array, each element a unit in the last place up or down where there is a nudge."""
    return array if nudge is None else np.nextafter(array, signs(0, nudge, position, array.shape) * np.inf)


def one_step(
    rule: Rule, t: int, w: Array, g: Any, slots: dict[str, Any] | None, rates: Sequence[float]
) -> tuple[Array, dict[str, Any]]:
    """One weight's step."""
    rate = rates[-1] / (1 + t * rule.get("rate_decay", 0.0))
    spec = specified(rule, rate)
    if slots is None:
        slots = {name: np.full(w.shape, value) for name, value in spec.slots.items()}
        slots["largest"] = np.zeros(w.shape)
    if rule.get("velocity") == "with the rate" and "velocity" in slots and t:
        slots["velocity"] = slots["velocity"] * (rates[-2] / rates[-1])
    if rule.get("amsgrad"):
        return largest_step(rule, spec, t, w, g, slots)
    if rule.get("dampening") and t:
        # torch damps all gradients but the first; its decay is a part of them.
        spec, g = specified({**rule, "weight_decay": 0.0}, rate), g + rule["weight_decay"] * w
        slots["velocity"] = slots["velocity"] - rule["dampening"] / rule["momentum"] * g if rule["momentum"] else 0
    new, kept = update(spec, realisation(rule), t, w, g, {n: v for n, v in slots.items() if n != "largest"})
    return np.asarray(new), {**kept, "largest": slots["largest"]}


def largest_step(
    rule: Rule, spec: Any, t: int, w: Array, g: Any, slots: dict[str, Any]
) -> tuple[Array, dict[str, Any]]:
    """Adam's step with the largest second moment so far, uncorrected, in place of the last."""
    if spec.weight_decay and rule["decay"] == "decoupled":
        w = w - spec.learning_rate * spec.weight_decay * w
    elif spec.weight_decay:
        g = g + spec.weight_decay * w
    m = slots["first_moment"] + (1 - spec.beta_1) * (g - slots["first_moment"])
    v = slots["second_moment"] + (1 - spec.beta_2) * (np.square(g) - slots["second_moment"])
    most = np.maximum(slots["largest"], v)
    first, second = 1 - spec.beta_1 ** (t + 1), np.sqrt(1 - spec.beta_2 ** (t + 1))
    root = np.sqrt(most) + spec.epsilon * (second if rule["epsilon_position"] == "torch" else 1.0)
    made = w - spec.learning_rate * second / first * m / root
    return made, {"first_moment": m, "second_moment": v, "largest": most}


def specified(rule: Rule, rate: float) -> Any:
    """The optimizer of a rule, as parity.bounds takes it; a rate or an epsilon of 0 is next to nothing."""
    method = next(
        m for m in METHODS.values() if next(f.default for f in fields(m) if f.name == "kind") == rule["method"]
    )
    numbers = {f.name: rule[f.name] for f in fields(method) if f.name in rule and f.name != "kind"}
    if not numbers.get("momentum"):
        numbers.pop("nesterov", None)
    if "epsilon" in numbers:
        numbers["epsilon"] = numbers["epsilon"] or 1e-300
    start = optimizers.OPTIMIZERS[rule["method"]]
    return type(start)(
        **{f.name: getattr(start, f.name) for f in fields(method)} | numbers | {"learning_rate": rate or 1e-300}
    )


def realisation(rule: Rule) -> Realisation:
    """The choices of a rule, as parity.bounds takes them."""
    own = {**own_choices("torch"), "weight_decay": rule["decay"]}
    if rule.get("epsilon_position") == "keras":
        own |= {
            name: own_choices("tf")[name]
            for name in ("adam_epsilon", "adamax_epsilon", "adagrad_epsilon", "rmsprop_epsilon")
        }
    return Realisation(model="", **own)
