"""What is said of a cause in training: the sentence, what to write instead, whose it is, the known difference."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from parity.causes.cause import Cause

Places = tuple[str | None, str | None]
REPLAYED = "each side's steps replayed from its own gradients; with this equal, they agree"
METHODS = {
    "sgd": "SGD", "adam": "Adam", "adamax": "Adamax", "nadam": "NAdam", "adagrad": "Adagrad", "adadelta": "Adadelta",
    "rmsprop": "RMSprop",
}  # fmt: skip
# torch's name of a setting, by method where it has several.
TORCH = {"rho": {"rmsprop": "alpha"}, "initial_accumulator": {"": "initial_accumulator_value"}, "epsilon": {"": "eps"}}
ENTRIES = {
    "epsilon_position": {
        "adam": "adam_epsilon_position", "adamax": "adamax_epsilon_position", "adagrad": "adagrad_epsilon_position",
        "rmsprop": "rmsprop_epsilon_position",
    },
    "epsilon": {"": "epsilon_default"},
    "weight_decay": {"": "weight_decay_semantics"},
    "velocity": {"": "sgd_momentum_lr_scheduling"},
    "rows": {"": "repeated_rows"},
    "momentum_decay": {"": "nadam_momentum_decay"},
}  # fmt: skip
WAYS = {
    "epsilon_position": {
        "adam": "Adam adds epsilon before its bias correction in Keras, after it in torch",
        "adamax": "Adamax adds epsilon to the norm it divides by in Keras, to the gradient's size in torch",
        "adagrad": "Adagrad adds epsilon inside the root in Keras, outside of it in torch",
        "rmsprop": "RMSprop adds epsilon inside the root in Keras, outside of it in torch",
    },
    "velocity": {"": "the learning rate changes, and is inside Keras's velocity and outside of torch's"},
    "rows": {"": "Keras squares each use of an embedding's row by itself, torch their sum"},
}
ALIGN = {
    "epsilon_position": {
        "adam": "before each step set eps = epsilon / (1 - beta_2 ** t) ** 0.5 of torch's param_groups",
        "": "write torch's update with Keras's formula, or take an epsilon that does not matter on both sides",
    },
    "velocity": {"": "scale torch's momentum_buffer by the last rate over the new one before each step"},
    "rows": {"": "give Keras's optimizer dense gradients: tf.convert_to_tensor of each"},
}
NAMES = {"momentum_decay": "momentum_decay", "initial_accumulator": "the initial accumulator", "rate_decay": "lr_decay"}


def of_method(table: Mapping[str, Mapping[str, str]], name: str, method: str) -> str | None:
    """What a table has of a setting, of this method or of any."""
    return table.get(name, {}).get(method, table.get(name, {}).get(""))


def of_setting(name: str, keras: Mapping[str, Any], torch: Mapping[str, Any], places: Places) -> Cause:
    """A setting, or a framework's own way, in which two optimizers differ."""
    method = keras["method"]
    if name == "method":
        ours, theirs = METHODS[method], METHODS[torch["method"]]
        says, fix = f"the optimizers are two: {ours} in Keras, {theirs} in torch", f"torch.optim.{ours}"
        return Cause("method", "optimizer step", says, fix, "port", REPLAYED, places[0], places[1])
    entry = of_method(ENTRIES, name, method)
    if name in WAYS:
        says, fix = of_method(WAYS, name, method) or "", of_method(ALIGN, name, method) or ""
        by_hand = keras[name] == torch.get(name)
        return Cause(
            name, "optimizer step", says, fix, "port" if by_hand else "framework", REPLAYED, places[0], places[1], entry
        )
    if name == "weight_decay":
        return of_decay(keras, torch, places)
    own = of_method(TORCH, name, method) or NAMES.get(name, name)
    ours, theirs = (rule.get(name, "none") for rule in (keras, torch))
    says = f"{NAMES.get(name, name)} is {number(ours)} in Keras, {number(theirs)} in torch"
    if name in ("beta_1", "beta_2"):
        fix = f"torch: betas=({keras['beta_1']:g}, {keras['beta_2']:g})"
    else:
        fix = f"torch: {own}={ours}"
    return Cause(name, "optimizer step", says, fix, "port", REPLAYED, places[0], places[1], entry)


def number(value: Any) -> str:
    """A value in few digits."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def of_decay(keras: Mapping[str, Any], torch: Mapping[str, Any], places: Places) -> Cause:
    """Weight decay that differs in size, or in where it acts."""
    ours, theirs = keras["weight_decay"], torch["weight_decay"]
    acts = {"decoupled": "shrinks the weights", "coupled": "is a part of the gradient"}
    said = [
        f"{value:g}, which {acts[rule['decay']]}," if value else "none"
        for value, rule in ((ours, keras), (theirs, torch))
    ]
    says = f"weight decay is {said[0]} in Keras, {said[1]} in torch"
    adam = keras["method"] == "adam" and ours
    fix = f"torch: torch.optim.AdamW(..., weight_decay={ours:g})" if adam else f"torch: weight_decay={ours:g}"
    if ours and not adam:
        fix = f"torch: no weight_decay, and before each step w.mul_(1 - lr * {ours:g})"
    return Cause(
        "weight_decay", "optimizer step", says, fix, "port", REPLAYED, places[0], places[1], "weight_decay_semantics"
    )


def of_rates(ours: Sequence[float], theirs: Sequence[float], places: Places) -> Cause:
    """Learning rates that differ, from the first step on or later."""
    if math.isclose(ours[0], theirs[0], rel_tol=1e-12):
        still, falls = ("torch", "Keras") if len({*theirs}) == 1 else ("Keras", "torch")
        listed = "; ".join(", ".join(f"{rate:.6g}" for rate in rates[:3]) for rates in (ours, theirs))
        says = f"the learning rate of {falls} changes with every batch, that of {still} does not: {listed}"
        fix = "step torch's scheduler after every batch, not after every epoch, with a schedule that counts batches"
        if len({*ours}) > 1 and len({*theirs}) > 1:
            says = f"the learning rates follow two schedules: {listed}"
            fix = (
                "one schedule on both sides: its length and numbers, and step torch's scheduler once after every batch"
            )
        return Cause("schedule", "steps", says, fix, "port", REPLAYED, places[0], places[1], "schedule_per_step")
    says = f"the learning rate is {ours[0]:g} in Keras, {theirs[0]:g} in torch"
    confirmed = REPLAYED
    return Cause(
        "learning_rate", "optimizer step", says, f"torch: lr={ours[0]:g}", "port", confirmed, places[0], places[1]
    )


def of_weight(kind: str, name: str, other: str, place: str | None) -> Cause:
    """A weight that one side alone trains."""
    if kind == "two":
        says = f"torch trains {other} and {name}, whose sum is one bias in Keras: the sum moves twice as far"
        fix = f"hold one of them: module.{name}.requires_grad_(False)"
        confirmed = f"{other} alone moves as Keras's"
        return Cause("two_biases", "optimizer step", says, fix, "framework", confirmed, None, place, "lstm_two_biases")
    says = {
        "missing": f"{name} is not among the weights that torch's optimizer is given",
        "frozen": f"{name} has no gradient in torch (requires_grad=False, or cut off), and is trained in Keras",
        "keras": f"Keras does not train {name}'s counterpart (trainable=False), and torch does",
    }[kind]
    fix = {
        "missing": "give the optimizer module.parameters(), all of them",
        "frozen": f"module.{name}.requires_grad_(True), and nothing that detaches it",
        "keras": f"module.{name}.requires_grad_(False)",
    }[kind]
    confirmed = "it stays as it was at every step on one side, and moves on the other"
    return Cause(f"untrained_{kind}", "optimizer step", says, fix, "port", confirmed, None, place)


def of_unused(who: str, paths: Sequence[str], others: Sequence[str], called: bool, places: Places) -> Cause:
    """Layers of one side on which none of its results hangs, while those of the other side hang on their partners.

    They are `called`, and what they give goes nowhere; or they are not even called.
    """
    caller = "Keras" if who == "torch" else "torch"
    ours, theirs = (", ".join(names) for names in (paths, others))
    if called:
        says = f"no result of {who} hangs on {ours}, though {'they are' if len(paths) > 1 else 'it is'} called"
        says += f"; those of {caller} hang on {theirs}"
        fix = f"pass on what {paths[-1]} gives, as {caller} does, and nothing that cuts it off (detach, no_grad, .data)"
    else:
        says, fix = (
            f"{who} never calls {ours}, and {caller} calls {theirs}",
            f"call {ours} where {caller} calls {theirs}",
        )
    confirmed = "weights of one side alone have gradients, whatever the results are weighted with"
    return Cause("unused" if called else "never_called", "forward", says, fix, "port", confirmed, *places)


def of_no_step(place: str | None) -> Cause:
    """An optimizer that is made, and never asked for a step."""
    says, fix = "torch's optimizer takes no step, and no weight moves", "optimizer.step() after backward()"
    return Cause("no_step", "optimizer step", says, fix, "port", "no weight moved at any step", None, place)


def of_no_gradient(place: str | None) -> Cause:
    """An optimizer that is asked for steps while no weight has a gradient."""
    says = (
        "torch's optimizer is asked for a step while no weight has a gradient: before backward(), or after zero_grad()"
    )
    fix = "optimizer.zero_grad(), backward() and optimizer.step(), in this order"
    confirmed = "no weight had a gradient when step() was called, at any step"
    return Cause("no_gradient", "optimizer step", says, fix, "port", confirmed, None, place)


def of_asked(keras: int, torch: int, places: Places) -> Cause:
    """Optimizers that are asked for another number of steps a batch."""
    says = f"a batch is {keras} step{'s' * (keras != 1)} of Keras's optimizer, {torch} of torch's"
    fix = f"{keras} call{'s' * (keras != 1)} of optimizer.step() for each batch"
    return Cause("steps_per_batch", "optimizer step", says, fix, "port", "both were counted", places[0], places[1])


def of_late_loss(who: str) -> Cause:
    """A step() that gives the loss of the weights that it has made, not of those that it was given."""
    says = f"{who}'s step() gives the loss after its update, the other side's before it"
    confirmed = "each of its losses is the other side's of the next step"
    places = ("step()", None) if who == "Keras" else (None, "step()")
    return Cause(
        "loss_after_step", "steps", says, "return the loss that was differentiated", "port", confirmed, *places
    )


def of_ratio(names: Sequence[str], factor: float) -> Cause:
    """Gradients of some weights that are a factor of Keras's, while results and losses agree."""
    says = f"torch's gradient of {', '.join(names)} is {factor:.6g} times Keras's"
    fix = "leave out what changes the gradient on the way back alone: detach(), a hook, a function of its own"
    return Cause("gradient_factor", "backward", says, fix, "port", "so is every number of them, and results agree")


def of_padding_row(row: int, places: Places) -> Cause:
    """A row of an embedding that torch does not train."""
    says, entry = f"torch's padding_idx={row} gives that row no gradient, Keras trains it", "embedding_padding_row"
    fix, confirmed = "nn.Embedding(...) without padding_idx", "Keras's gradient without that row is torch's"
    return Cause(entry, "backward", says, fix, "port", confirmed, places[0], places[1], entry)


def of_gradients(kind: str, factor: float, places: Places, with_decay: bool = False) -> Cause:
    """What makes torch's gradients of Keras's."""
    confirmed = "Keras's gradients, so changed, are torch's at every step and weight"
    if kind == "penalty":
        says = "Keras's regularisers are in its gradients, and torch has no such term"
        if with_decay:
            says = (
                "Keras's regularisers are torch's weight_decay: L2 of l is a decay of 2 l, and of those weights alone"
            )
        fix = "torch: add l * weight.square().sum() of the same weights to the cost, and no weight_decay"
        name = "l2_regularizer_is_weight_decay" if with_decay else "penalty_in_cost"
        return Cause(name, "optimizer step", says, fix, "port", confirmed, places[0], places[1], name)
    if kind == "added up":
        says = "torch's gradients add up from step to step: they are the sum of all so far"
        fix = "optimizer.zero_grad() before each backward()"
        return Cause(
            "gradients_add_up", "steps", says, fix, "port", confirmed, places[0], places[1], "gradients_add_up"
        )
    says = f"torch's gradients are {factor:.6g} times Keras's"
    fix = f"torch: divide the cost, or the gradients, by {factor:.6g}"
    return Cause("gradient_factor", "optimizer step", says, fix, "port", confirmed, places[0], places[1])


def of_clip(ours: tuple[str, float] | None, theirs: tuple[str, float] | None, places: Places) -> Cause:
    """Clipping that differs."""
    words = {
        "each": "each gradient by its norm, to {:g}",
        "all": "all gradients by their common norm, to {:g}",
        "value": "each element, to {:g}",
    }
    said = ["does not clip" if clip is None else f"clips {words[clip[0]].format(clip[1])}" for clip in (ours, theirs)]
    write = {
        "each": "for p in module.parameters(): torch.nn.utils.clip_grad_norm_([p], {:g})",
        "all": "torch.nn.utils.clip_grad_norm_(module.parameters(), {:g})",
        "value": "torch.nn.utils.clip_grad_value_(module.parameters(), {:g})",
    }
    fix = "torch: do not clip" if ours is None else "torch: " + write[ours[0]].format(ours[1])
    confirmed = "Keras's gradients, so clipped, are torch's at every step and weight"
    says = f"Keras {said[0]}, torch {said[1]}"
    return Cause("clipping", "optimizer step", says, fix, "port", confirmed, places[0], places[1], "gradient_clipping")


def of_clip_epsilon(places: Places) -> Cause:
    """The number that torch adds to the norm that it clips by."""
    says = "torch adds 1e-6 to the norm that it clips by, Keras nothing"
    fix = "torch: multiply the gradients by min(1, limit / norm) with the norm as it is"
    confirmed = "Keras's gradients, clipped by a norm with 1e-6 more, are torch's at every step and weight"
    entry = "clip_norm_epsilon"
    return Cause(entry, "optimizer step", says, fix, "framework", confirmed, places[0], places[1], entry)


def of_statistics_alone(names: Sequence[str], has: str) -> Cause:
    """Moving statistics that one side lacks: its normalisation takes those of the batch in eval mode, too."""
    lacks = "torch" if has == "Keras" else "Keras"
    called = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    says = f"{has} keeps {called}; {lacks} keeps none, and normalises by the batch in eval mode, too"
    fix = "torch: BatchNorm(..., track_running_stats=True)"
    confirmed = f"{has}'s moved in training, and {lacks} has none"
    return Cause("batch_statistics", "forward", says, fix, "port", confirmed)


def of_tensors_alone(names: Sequence[str], has: str) -> Cause:
    """Weights that one side lacks: they mean nothing as they are built, and the other side, `has`, trains them."""
    lacks = "torch" if has == "Keras" else "Keras"
    called = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    says = f"{has} trains {called}; {lacks} has nothing there"
    fix = f"{has}'s layers without, or {lacks}'s with one (Keras: use_bias, torch: bias)"
    confirmed = "all results agree until the first step, which takes them away from where they mean nothing"
    return Cause("weight_on_one_side", "optimizer step", says, fix, "port", confirmed)
