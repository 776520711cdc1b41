"""Faults that act at one step of a run, whichever, and leave all others alone; and one of loop and replay alike."""

import re
from collections.abc import Callable

from benchmarks.faults.fault import TORCH_BUILT, Edit, Fault, loop


def scaled(when: str) -> tuple[Edit, Edit]:
    """An optimizer's steps are a tenth, in loop and replay alike, while the condition on the number of steps holds."""
    tf = (
        "    stock, taken = built.update_step, built.iterations\n"
        "    built.update_step = lambda gradient, variable, rate: stock(\n"
        f"        gradient, variable, rate * tf.cast(tf.where({when}, 0.1, 1.0), rate.dtype))\n"
        "    return built\n"
    )
    torch = (
        f"{TORCH_BUILT}"
        "    def scale(optimizer, arguments, options):\n"
        "        taken = next((kept.get('step', 0) for kept in optimizer.state.values()), 0)\n"
        f"        optimizer.param_groups[0]['lr'] = 1e-4 if {when} else 1e-3\n"
        "    built.register_step_pre_hook(scale)\n"
    )
    return ("optimizers.py", "    return built\n", tf), ("optimizers.py", TORCH_BUILT, torch)


TF_MOVED = (
    "model.trainable_variables[0].assign_add(tf.scatter_nd([[300, 5]], "
    "[tf.cast(tf.where(step == {step}, 1e-4, 0.0), model.compute_dtype)], model.trainable_variables[0].shape))"
)
TF_ROUNDED = (
    "[w.assign(tf.where(step == {step}, tf.cast(tf.cast(w, tf.bfloat16), model.compute_dtype), "
    "tf.convert_to_tensor(w))) for w in model.trainable_variables]"
)
TF_DROPPED = "gradients[2] = gradients[2] * tf.cast(updater.iterations != {step}, model.compute_dtype)"
TORCH_DROPPED = (
    "weight = list(model.parameters())[2]\n"
    "    weight.grad *= updater.state[weight]['step'] != {step} if updater.state[weight] else {step} != 0"
)


def rounded(step: int) -> Fault:
    """All weights are rounded to seven bits."""
    torch = f"[w.data.copy_(w.data.bfloat16()) for w in model.parameters() if step == {step}]"
    return Fault(
        "precision",
        "loop",
        "",
        step,
        loop(TF_ROUNDED.format(step=step)),
        loop(torch),
        since=step,
        told="weights/.*rounded through bfloat16",
    )


def moved(step: int) -> Fault:
    """One weight of many is a little larger, behind a pixel that may be always zero."""
    torch = f"next(model.parameters()).data[5, 300] += 1e-4 if step == {step} else 0.0"
    edits = loop(TF_MOVED.format(step=step)), loop(torch)
    return Fault("optimizer", "loop", "weights/dense_1/kernel", step, *edits, since=step, told="plus 0.0001")


def dropped(step: int) -> Fault:
    """The second layer does not learn from one batch."""
    return Fault(
        "backward", "loop", "dense_2/kernel", step,
        ("train.py", "    updater.apply(", f"    {TF_DROPPED.format(step=step)}\n    updater.apply("),
        ("train.py", "    updater.step()\n", f"    {TORCH_DROPPED.format(step=step)}\n    updater.step()\n"),
        since=step, told="dense_2/kernel.*zero|nothing were updated|gradients were zero, for dense_2/kernel alone",
    )  # fmt: skip


KINDS: dict[str, Callable[[int], Fault]] = {
    "all weights pass through bfloat16": rounded,
    "one weight is moved by 1e-4": moved,
    "one layer's gradient is dropped": dropped,
}
NAME = re.compile(rf"({'|'.join(KINDS)}) at step (\d+)")


def at(kind: str, step: int) -> str:
    """The name of a fault of this kind at a step."""
    return f"{kind} at step {step}"


def named(name: str) -> Fault | None:
    """The fault that is called so; None where none of this kind is."""
    found, alike = NAME.fullmatch(name), ALIKE.fullmatch(name)
    if alike is not None:
        return once(int(alike[1]))
    return None if found is None else KINDS[found[1]](int(found[2]))


def once(step: int) -> Fault:
    """One short step of loop and replay alike; a loop's segment from the checkpoint before sees the cost after it."""
    edits = scaled(f"taken == {step}")
    return Fault("optimizer", "loop", "costs", step + 1, *edits, told="learning_rate were 0.0001|divided by 10")


# In loop and replay alike.
ALIKE = re.compile(r"the optimizer's steps are a tenth at step (\d+) only")
FAULTS = {
    **{at(kind, 7): fault(7) for kind, fault in KINDS.items()},
    # In what the replay has as well, so that the other side alone can tell.
    "the optimizer's steps are a tenth from step 30 on": Fault(
        "optimizer",
        "lockstep",
        "weights/",
        None,
        *scaled("taken >= 30"),
        told="learning_rate were 0.0001|divided by 10",
        since=30,
    ),
    "the optimizer's steps are a tenth at step 6 only": once(6),
}
