"""Why two losses of the same results part: either is taken again under variants, and what then agrees is the cause."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from parity.causes.cause import Cause
from parity.causes.rules import Array, close

Change = dict[str, Any]
Calls = Sequence[Mapping[str, Any]]
Places = tuple[str | None, str | None]
Parts = Sequence[tuple[float, float]]
# Factors that are closer, relative to their size, are taken for the same one; it judges nothing.
ALIKE = 1e-9
CONFIRMED = "the loss taken again with this changed: value and gradient agree"
NEVER = -(2**30)
# What becomes of results on torch's side before its loss sees them, where Keras's side agrees then.
RESULTS = {
    "log": ("double_softmax", "{torch} takes logits, and gets probabilities: there are two softmaxes",
            "F.nll_loss(outputs.log(), targets), or a model that ends in logits", "double_softmax"),
    "logit": ("double_sigmoid", "{torch} takes logits, and gets probabilities: there are two sigmoids",
              "F.binary_cross_entropy(outputs, targets), or a model that ends in logits", "double_softmax"),
    "log_softmax": ("no_softmax", "{torch} gets logits where Keras's loss takes a softmax of them",
                    "F.cross_entropy(outputs, targets)", "nll_of_probabilities"),
    "softmax": ("no_softmax", "{torch} gets logits where Keras's loss takes a softmax of them",
                "torch.softmax(outputs, 1) before the loss", None),
    "sigmoid": ("no_sigmoid", "{torch} gets logits where Keras's loss takes a sigmoid of them",
                "F.binary_cross_entropy_with_logits(outputs, targets)", None),
    "exp": ("logarithms", "{torch} gets logarithms where Keras's loss gets probabilities", "outputs.exp()", None),
}  # fmt: skip
# Causes that are about logits, probabilities and their logarithms.
SCALES = {
    "double_softmax", "double_sigmoid", "no_softmax", "no_sigmoid", "no_logarithm", "logarithms", "from_logits",
    "kl_arguments", "log_target",
}  # fmt: skip
PLAIN = {
    "mse_loss": "MeanSquaredError",
    "l1_loss": "MeanAbsoluteError",
    "huber_loss": "Huber",
    "smooth_l1_loss": "Huber",
}


@dataclass(frozen=True)
class Option:
    """One thing to change on a side, and the cause that it is if both agree then."""

    side: str
    change: Change
    cause: Cause


@dataclass(frozen=True)
class Value:
    """A loss: its value, its gradients by the results in torch's layout, and by how much rounding moves either."""

    loss: Array
    gradients: Mapping[str, Array]
    moves: float = 0.0
    gradient_moves: Mapping[str, float] = field(default_factory=dict)

    def times(self, factor: float) -> "Value":
        """The loss times a factor."""
        gradients = {name: gradient * factor for name, gradient in self.gradients.items()}
        moves = {name: move * abs(factor) for name, move in self.gradient_moves.items()}
        return Value(self.loss * factor, gradients, self.moves * abs(factor), moves)

    def same(self, other: "Value", shares: Collection[str]) -> bool:
        """Whether two losses agree, and their gradients.

        Of results that are `shares`, whose classes add up to 1, a gradient that is one number for all classes of a
        sample goes nowhere, and is left out.
        """
        if not close(self.loss, other.loss, max(self.moves, other.moves)):
            return False
        if self.gradients.keys() != other.gradients.keys():
            return False
        for name, ours in self.gradients.items():
            theirs = other.gradients[name]
            if name in shares and ours.shape == theirs.shape:
                ours, theirs = (g - g.mean(axis=1, keepdims=True) for g in (ours, theirs))
            if not close(ours, theirs, max(one.gradient_moves.get(name, 0.0) for one in (self, other))):
                return False
        return True


def first(calls: Calls) -> Mapping[str, Any]:
    """The only stock loss that was called; nothing where there is none, or several."""
    return calls[0] if len(calls) == 1 else {}


def options(keras: Calls, torch: Calls) -> list[Option]:
    """All that may be tried, the most telling first."""
    ours, theirs = first(keras), first(torch)
    places = ours.get("place"), theirs.get("place")
    return [
        *of_shapes(places),
        *of_results(theirs, places),
        *of_calls(ours, theirs, places),
        *of_keras(ours, theirs, places),
    ]


def made(name: str, says: str, fix: str, places: Places, entry: str | None = None) -> Cause:
    """A cause in a loss."""
    return Cause(name, "loss", says, fix, "port", CONFIRMED, places[0], places[1], entry)


def of_shapes(places: Places) -> Iterator[Option]:
    """(N, 1) against (N,), either way round."""
    says = "torch's loss takes results and targets of two shapes, as (N, 1) and (N,), and makes all pairs of samples"
    for which, fix in (("outputs", "outputs.squeeze(1)"), ("targets", "targets.unsqueeze(1)")):
        yield Option("torch", {"shape": which}, made("loss_shapes", says, fix, places, "loss_shapes_and_reduction"))
    change = {"call": {"shape": "target"}}
    yield Option("torch", change, made("loss_shapes", says, "give both one shape", places, "loss_shapes_and_reduction"))


def of_results(theirs: Mapping[str, Any], places: Places) -> Iterator[Option]:
    """Logits, probabilities and their logarithms."""
    called = theirs.get("name", "torch's loss")
    for transform, (name, says, fix, entry) in RESULTS.items():
        if called in ("nll_loss", "kl_div") and transform == "log":
            says, fix = "{torch} takes logarithms of probabilities, and gets probabilities", "outputs.log()"
            name, entry = "no_logarithm", "nll_of_probabilities" if called == "nll_loss" else "kl_divergence_arguments"
        cause = made(name, says.format(torch=called), fix, places, entry)
        yield Option("torch", {"outputs": transform}, cause)
        if theirs:
            # Where the loss itself makes probabilities, or logarithms, of the model's results.
            yield Option("torch", {"call": {"input": transform}}, cause)


def of_calls(ours: Mapping[str, Any], theirs: Mapping[str, Any], places: Places) -> Iterator[Option]:
    """The settings of torch's stock loss, each as Keras's may have it."""
    if not theirs:
        return
    name, settings, keras = theirs["name"], theirs["settings"], ours.get("settings", {})

    def option(change: Change, cause: str, says: str, fix: str, entry: str | None = None) -> Option:
        return Option("torch", {"call": change}, made(cause, says, fix, places, entry))

    if theirs["weighted"]:
        says = "torch divides by the sum of the samples' weights, Keras by the number of samples"
        fix = f"(weight[targets] * F.{name}(outputs, targets, reduction='none')).mean()"
        yield option({"over": "samples"}, "class_weights_mean", says, fix, "class_weights_mean")
        for weight in ("weight", "pos_weight"):
            says, fix = f"torch's loss has class weights ({weight}), Keras's has none", f"F.{name} without {weight}"
            yield option({weight: None}, "class_weights", says, fix)
    for smooth in {keras.get("label_smoothing", 0.0), 0.0} - {settings.get("label_smoothing", 0.0)}:
        both = keras.get("label_smoothing", 0.0), settings.get("label_smoothing", 0.0)
        says = f"label_smoothing is {both[0]:g} in Keras, {both[1]:g} in torch"
        yield option({"label_smoothing": smooth}, "label_smoothing", says, f"F.{name}(..., label_smoothing={smooth:g})")
    for setting in ("beta", "delta"):
        if setting in settings and keras.get("delta", 1.0) != settings[setting]:
            delta = keras.get("delta", 1.0)
            says = (
                f"{'delta' if setting == 'delta' else 'the bend'} is {delta:g} in Keras, {settings[setting]:g} in torch"
            )
            yield option({setting: delta}, "delta", says, f"F.{name}(..., {setting}={delta:g})", "smooth_l1_factor")
    if "ignore_index" in settings:
        ignored = keras.get("ignore_class", NEVER)
        says = f"torch leaves out samples of the label {settings['ignore_index']}, Keras does not"
        if ignored != NEVER:
            says = f"Keras leaves out samples of the label {ignored}, torch does not"
        yield option(
            {"ignore_index": ignored},
            "ignored_labels",
            says,
            f"F.{name}(..., ignore_index={ignored})",
            "integer_labels",
        )
    if name == "kl_div":
        says, fix = (
            "kl_div's arguments are the other way round",
            "F.kl_div(outputs.log(), targets, reduction='batchmean')",
        )
        for change in ({"swap": True, "input": "log", "target": "exp"}, {"swap": True, "input": "log"}, {"swap": True}):
            yield option(change, "kl_arguments", says, fix, "kl_divergence_arguments")
        flipped = not settings["log_target"]
        says = f"kl_div is told that its target is {'a logarithm' if not flipped else 'no logarithm'}"
        yield option(
            {"log_target": flipped},
            "log_target",
            says,
            f"F.kl_div(..., log_target={flipped})",
            "kl_divergence_arguments",
        )
    for reduction in ("mean", "sum", *["batchmean"] * (name == "kl_div")):
        if reduction != settings["reduction"]:
            entry = "kl_divergence_reduction" if name == "kl_div" else "loss_sum_reduction"
            says = f"torch's {name} is reduced by {settings['reduction']!r}, which is not what Keras's is"
            yield option({"reduction": reduction}, "reduction", says, f"F.{name}(..., reduction={reduction!r})", entry)
    for other in (other for other in PLAIN if name in PLAIN and other != name):
        says = f"the losses are two: {ours.get('name', PLAIN[other])} in Keras, {name} in torch"
        yield option({"function": other}, "other_loss", says, f"F.{other}(outputs, targets)")


def of_keras(ours: Mapping[str, Any], theirs: Mapping[str, Any], places: Places) -> Iterator[Option]:
    """The settings of Keras's stock loss, each as torch's may have it."""
    if not ours:
        return
    name, settings, torch = ours["name"], ours["settings"], theirs.get("settings", {})

    def option(change: Change, cause: str, says: str, fix: str, entry: str | None = None) -> Option:
        return Option("keras", {"call": change}, made(cause, says, fix, places, entry))

    if "from_logits" in settings:
        flipped = not settings["from_logits"]
        takes = "logits" if settings["from_logits"] else "probabilities"
        says = f"Keras's {name} takes {takes} (from_logits={settings['from_logits']}), torch's loss does not"
        fix = f"keras.losses.{name}(from_logits={flipped})"
        yield option({"from_logits": flipped}, "from_logits", says, fix, "double_softmax")
    for key, other in (("label_smoothing", "label_smoothing"), ("delta", "beta"), ("delta", "delta")):
        value = torch.get(other, 0.0 if key == "label_smoothing" else None)
        if key in settings and value is not None and value != settings[key]:
            says = f"{key} is {settings[key]:g} in Keras, {value:g} in torch"
            yield option({key: value}, key, says, f"torch: {other}={settings[key]:g}")
    for reduction in ("sum_over_batch_size", "sum"):
        if reduction != settings["reduction"]:
            says = f"Keras's {name} is reduced by {settings['reduction']!r}, which is not what torch's is"
            yield option(
                {"reduction": reduction},
                "reduction",
                says,
                f"keras.losses.{name}(reduction={reduction!r})",
                "loss_sum_reduction",
            )
    if settings.get("ignore_class") is not None:
        says = f"Keras leaves out samples of the label {settings['ignore_class']}, torch does not"
        yield option({"ignore_class": None}, "ignored_labels", says, f"torch: ignore_index={settings['ignore_class']}")


def merged(chosen: Sequence[Option]) -> Change | None:
    """All changes of a side together; None where they contradict each other."""
    found: Change = {}
    for option in chosen:
        for name, value in option.change.items():
            if name == "call":
                call = found.setdefault("call", {})
                if call.keys() & value.keys():
                    return None
                call.update(value)
            elif name in found:
                return None
            else:
                found[name] = value
    return found


def subject(option: Option) -> str:
    """What an option is about: two changes of one subject would make a third function of both losses."""
    return "scale" if option.cause.name in SCALES else option.cause.name


def tries(found: Sequence[Option]) -> list[tuple[Option, ...]]:
    """What is tried: nothing, each option, and any two that do not contradict each other."""
    pairs = (pair for pair in combinations(found, 2) if subject(pair[0]) != subject(pair[1]))
    every: list[tuple[Option, ...]] = [(), *((option,) for option in found), *pairs]
    return [chosen for chosen in every if all(merged(of_side(chosen, side)) is not None for side in ("keras", "torch"))]


def of_side(chosen: Sequence[Option], side: str) -> tuple[Option, ...]:
    """The options of one side."""
    return tuple(option for option in chosen if option.side == side)


@dataclass(frozen=True)
class Explained:
    """What makes both losses agree: the causes, the changes, and a factor by which torch's is larger then."""

    causes: list[Cause]
    chosen: tuple[Option, ...]
    factor: float = 1.0

    def change(self, side: str) -> Change:
        """What to change on a side."""
        found = merged(of_side(self.chosen, side)) or {}
        return {**found, "scale": 1 / self.factor} if side == "torch" and self.factor != 1 else found


def explained(
    found: Sequence[Option],
    values: Callable[[str, tuple[Option, ...]], Value | None],
    same: Callable[[Value, Value], bool],
    counts: Mapping[str, int],
    parts: Parts,
    places: Places,
) -> Explained | None:
    """The fewest changes after which both losses agree; None where none makes them; a factor is one of them.

    `values` gives a side's loss under some options. `counts` says of what a factor may be the number, `parts` what it
    is in parts of the batch.
    """
    for size in (0, 1, 2):
        for scaled in (False, True):
            for chosen in tries(found):
                if len(chosen) + scaled != size:
                    continue
                ours, theirs = (values(side, of_side(chosen, side)) for side in ("keras", "torch"))
                if ours is None or theirs is None:
                    continue
                if not scaled and same(ours, theirs):
                    return Explained([option.cause for option in chosen], chosen)
                factor = ratio(ours, theirs) if scaled else None
                if factor is not None and same(ours.times(factor), theirs):
                    found_causes = [
                        *(option.cause for option in chosen),
                        of_factor(factor, counts, () if chosen else parts, places),
                    ]
                    return Explained(found_causes, chosen, factor)
    return None


def ratio(ours: Value, theirs: Value) -> float | None:
    """By what factor torch's loss is larger; None where that is no number, or nothing."""
    if not ours.loss or not np.isfinite(ours.loss) or not np.isfinite(theirs.loss):
        return None
    factor = float(theirs.loss / ours.loss)
    return None if factor in (0.0, 1.0) else factor


def of_factor(factor: float, counts: Mapping[str, int], parts: Parts, places: Places) -> Cause:
    """A factor between the losses, and what it is the number of.

    `parts` are shares of the batch, with the factor of each by itself.
    """
    by_size = [[abs(part / (factor * share**power) - 1) < ALIKE for share, part in parts] for power in (0, 1, -1)]
    if parts and not any(all(fits) for fits in by_size):
        says = f"torch's loss is {factor:.6g} times Keras's here, and another multiple in parts of the batch"
        fix = "torch: divide by the number of samples, not by what changes with the batch, as a sum of weights"
        return made("loss_factor_of_batch", says, fix, places)
    inverse = 1 / factor
    grows = not parts or not all(by_size[0])
    words = [
        f"{n} is {what}"
        for what, n in counts.items()
        if n > 1 and any(abs(f / n - 1) < ALIKE for f in (factor, inverse)) and (grows or "each" in what)
    ]
    size = f"{factor:.6g} times" if factor > 1 or inverse != round(inverse) else f"1/{inverse:.0f} of"
    words += ["half of a squared error?"] if 2.0 in (factor, inverse) else []
    hint = f" ({' or '.join(words)})" if words else ""
    says, fix = f"torch's loss is {size} Keras's{hint}", f"torch: multiply the loss by {inverse:.6g}"
    return made("loss_factor", says, fix, places)


def of_penalty(size: float, places: Places) -> Cause:
    """A cost that has Keras's regularisers on one side alone."""
    says = f"Keras's cost has the penalty of its regularisers in it, {size:.6g} here, and torch's has not"
    fix = "torch: add l * weight.square().sum() of the same weights to the cost"
    confirmed = "without it both losses, and their gradients by the results, agree"
    return Cause("penalty_in_cost", "loss", says, fix, "port", confirmed, *places, "penalty_in_cost")
