"""The options that parity.run and parity.record share, and the experiment and job they make."""

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

from parity.data import datasets
from parity.data import sources as digit_sources
from parity.data.mnist import LOADERS, TRAIN_SAMPLES, default_folder, missing, remedy
from parity.errors import UsageError
from parity.experiment import workload
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.nodes import ActivationName, Dense, InitializerName
from parity.experiment.optimizers import ASGD, OPTIMIZERS, ClipBy
from parity.experiment.requested import (
    COSTS,
    choose,
    chosen_clipping,
    chosen_optimizer,
    initializer,
    one_of,
    with_activation,
    with_cost,
    with_hidden_dropout,
    with_initializer,
)
from parity.experiment.spec import (
    DTYPES,
    FRAMEWORKS,
    Dtype,
    EpochCost,
    Experiment,
    Framework,
    Identity,
    Realisation,
    TestLoss,
)
from parity.recordings import start
from parity.worker.replays import checkpoint_steps
from parity.workers.job import DrawJob, RecordJob

# What --data takes beside a folder; the environment may name another default.
AUTO, EMBEDDED, MNIST = "auto", "embedded", "mnist"
DEFAULT_DATA = "PARITY_DATA"
# A step, or the first and the last one of several.
RANGE = re.compile(r"(\d+)(?:-(\d+))?")
# What --init-from draws, in the folder of the run.
INITIAL = "initial.safetensors"
# Reruns that measure the noise, for each side.
TWINS = 3


class Parser(argparse.ArgumentParser):
    """argparse, with one line for an error, and no abbreviations that a later option could make ambiguous."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)

    def error(self, message: str) -> Any:
        raise UsageError(f"{message} (see python -m {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, if all words are text: a path that is not cannot go into a recording."""
        for word in sys.argv[1:] if args is None else args:
            if not printable(word):
                raise UsageError(f"{word!a} holds bytes that are no text; give the file or folder another name")
        return super().parse_known_args(args, namespace)

    @property
    def options(self) -> dict[str, argparse.Action]:
        """Every option by the name that its value has, as in "batch_size"; not --help."""
        return {action.dest: action for action in self._actions if action.option_strings and action.dest != "help"}


def add_experiment_options(parser: argparse.ArgumentParser) -> None:
    """Everything that says what is trained, and where it is written."""
    parser.add_argument("experiment", metavar="EXPERIMENT", help=f"one of {', '.join(EXPERIMENTS)}")
    parser.add_argument(
        "--data",
        metavar=f"{AUTO}|{EMBEDDED}|{MNIST}|DIR",
        help=f"the {EMBEDDED} 5,000 digits; all of {MNIST}, by tensorflow_datasets and torchvision; {AUTO}, which is "
        f"{MNIST} where that can be had and else {EMBEDDED} (default, unless the environment variable {DEFAULT_DATA} "
        "has another); or a folder with four IDX files as MNIST's, gzipped or not, "
        "which are named where they are not MNIST as published",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=default_folder(),
        metavar="DIR",
        help="where both loaders keep MNIST, and find its four gzipped files if put there (default %(default)s)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=int, metavar="N", help="how long to train, after pre-training where there is any"
    )
    length.add_argument("--steps", type=int, metavar="N", help="the same, in batches")
    parser.add_argument("--batch-size", type=int, metavar="N", help="samples in a batch")
    parser.add_argument(
        "--keep-last-batch", action="store_true", help="train on an epoch's last batch also where it is a smaller one"
    )
    parser.add_argument(
        "--epoch-cost",
        metavar="NAME",
        help=f"{listed(EpochCost)}: an epoch's cost is the mean of its batches' (default), or of its samples'",
    )
    parser.add_argument(
        "--test-loss",
        metavar="NAME",
        help=f"{listed(TestLoss)}: the loss after each epoch is the mean of the test samples' (default), or the sum of "
        "their batches' means over the number of samples, as some programs report it",
    )
    parser.add_argument(
        "--evaluate-training", action="store_true", help="after each epoch, loss and accuracy on the training set, too"
    )
    parser.add_argument(
        "--raw-test-pixels", action="store_true", help="test on pixels from 0 to 255, as a published program did"
    )
    parser.add_argument(
        "--cost",
        metavar="NAME",
        help=f"{', '.join(COSTS)}: softmax* for several outputs, naive, clipped (Keras's) and clamped (torch's) for "
        "one probability, logits without the last sigmoid, mse for any",
    )
    parser.add_argument("--lr", type=float, metavar="X", help="learning rate")
    parser.add_argument("--seed", type=int, metavar="N", help="of weights and batch order (default 0)")
    parser.add_argument("--activation", metavar="NAME", help=f"of the hidden layers: {listed(ActivationName)}")
    parser.add_argument(
        "--dropout", type=float, metavar="RATE", help="drop this share of values after each hidden activation"
    )
    parser.add_argument(
        "--init",
        metavar="NAME[:NUMBER]",
        help=f"of the kernels, torch_default and keras_default of the biases too: {listed(InitializerName)}; glorot_ "
        "is xavier_, kaiming_ is he_; NUMBER is the deviation of normal:0.05, that of truncated_normal:0.05 before it "
        "is cut at two deviations, the bound of uniform:0.05 and the value of constant:0.1; without it, it is 1 "
        "(constant needs one)",
    )
    parser.add_argument(
        "--optimizer",
        metavar="NAME[:FIELD=VALUE,...]",
        help=f"{', '.join(OPTIMIZERS)}; its other numbers are torch's defaults: sgd:momentum=0.9,nesterov=true",
    )
    parser.add_argument(
        "--clip",
        metavar="BY:LIMIT",
        help=f"keep gradients within a limit by their {listed(ClipBy)}: the value of each element, the norm of each "
        "weight's gradient (Keras's clipnorm), or that of all together (global_clipnorm, torch's clip_grad_norm_)",
    )
    parser.add_argument("--dtype", metavar="NAME", help=f"{listed(Dtype)} (default float32)")
    parser.add_argument(
        "--choice",
        metavar="[SIDE:]FIELD=VALUE",
        action="append",
        default=[],
        help=f"do something a framework's way, on both sides or on one; torch's way and Keras's: {listed_choices()}",
    )
    parser.add_argument(
        "--checkpoints",
        type=checkpoints,
        default=12,
        metavar="N|STEP,...",
        help="how many states on the way are replayed (default 12), or before which steps: 0,300, or 0,20-44",
    )
    parser.add_argument(
        "--verdict",
        choices=["quick", "full"],
        help=f"full: run {TWINS} twins of each side, which are moved by rounding at every step, so that trajectory and "
        f"outcome can be judged; quick: leave them out; default full; quick where training takes over "
        f"{workload.LIMIT:.0e} operations (parity/experiment/workload.py), as on all of MNIST",
    )
    parser.set_defaults(without_twins=RecordJob.without_twins)
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="default auto: a GPU if found")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--init-from",
        metavar="|".join(FRAMEWORKS),
        help="start both sides from what this framework's own initializers draw (kept in "
        f"DIR/{INITIAL}), not from this program's",
    )
    weights.add_argument(
        "--initial-weights",
        type=Path,
        metavar="FILE.safetensors",
        help="layers.0.kernel (inputs, outputs), layers.0.bias (outputs,), ... of the layers in order; an embedding's "
        "is layers.0.table (vocabulary, units)",
    )
    parser.add_argument(
        "--batch-order",
        type=Path,
        metavar="FILE.npy",
        help="integers [epochs, samples]: indices into the training set in its original order",
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        metavar="SECONDS",
        help="how long a framework may take to be imported, and then to record (default 300, and no limit)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default runs/EXPERIMENT-TIME; must be new or empty")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and the verdict")


def printable(text: str) -> bool:
    """Whether a word of the command line is text: a byte that is not becomes half of a surrogate pair in Python."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def add_tensorboard(parser: argparse.ArgumentParser) -> None:
    """Add --tensorboard."""
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write both sides' costs, accuracy, gradient norms and histograms there for TensorBoard; must be new or "
        "empty",
    )


def count(text: str) -> int:
    """A number of things, at least one, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return value


def checkpoints(text: str) -> int | tuple[int, ...]:
    """A number of checkpoints, or steps and ranges of steps separated by commas, for argparse."""
    if "," not in text and "-" not in text.strip()[1:]:
        return count(text)
    steps: list[int] = []
    for part in filter(None, text.split(",")):
        ends = RANGE.fullmatch(part.strip())
        if ends is None or int(ends[2] or ends[1]) < int(ends[1]):
            raise argparse.ArgumentTypeError(
                f"must be steps, which count from 0, such as 0,300, or 0,20-44, not {text}"
            )
        steps += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return tuple(steps)


def seconds(text: str) -> float:
    """A number of seconds, for argparse."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be a finite number above zero, not {text}")
    return value


def listed(names: Any) -> str:
    """The values of a Literal, for a help text."""
    return ", ".join(get_args(names))


def listed_choices() -> str:
    """Every choice of a realisation with its values, for a help text."""
    return "; ".join(f"{f.name}={' or '.join(get_args(f.type))}" for f in fields(Realisation) if get_args(f.type))


def experiment(options: argparse.Namespace) -> Experiment:
    """The experiment that the options ask for."""
    return asked(EXPERIMENTS[one_of(options.experiment, EXPERIMENTS, "experiment")], options)


def asked(chosen: Experiment, options: argparse.Namespace) -> Experiment:
    """An experiment with what the options change."""
    try:
        chosen = replace(chosen, identity=changed(chosen.identity, options))
        if options.init_from is not None:
            one_of(options.init_from, FRAMEWORKS, "framework")
            if not isinstance(chosen.identity.layers[0], Dense):
                raise UsageError("--init-from draws the weights of dense layers; give an embedding's with --init")
        for choice in options.choice:
            chosen = choose(chosen, choice)
        return chosen
    except ValueError as error:
        raise UsageError(str(error)) from None


def changed(identity: Identity, options: argparse.Namespace) -> Identity:
    """The identity with the options' values in place of the experiment's own."""
    schedule = identity.schedule
    for unit in ("epochs", "steps"):
        if getattr(options, unit) is not None:
            schedule = replace(schedule, duration=getattr(options, unit), unit=unit)
    if options.batch_size is not None:
        schedule = replace(schedule, batch_size=options.batch_size)
    if options.keep_last_batch:
        schedule = replace(schedule, drop_last=False)
    if options.epoch_cost is not None:
        schedule = replace(schedule, epoch_cost=one_of(options.epoch_cost, get_args(EpochCost), "epoch cost"))
    if options.test_loss is not None:
        schedule = replace(schedule, test_loss=one_of(options.test_loss, get_args(TestLoss), "test loss"))
    if options.evaluate_training:
        schedule = replace(schedule, evaluate_training=True)
    optimizer = identity.optimizer
    if options.optimizer is not None:
        optimizer = chosen_optimizer(options.optimizer)
    if options.lr is not None:
        optimizer = replace(optimizer, learning_rate=options.lr)
    model = identity.model
    if options.activation is not None:
        model = with_activation(model, one_of(options.activation, get_args(ActivationName), "activation"))
    if options.dropout is not None:
        model = with_hidden_dropout(model, options.dropout)
    if options.init is not None:
        model = with_initializer(model, initializer(options.init))
    if options.cost is not None:
        identity = with_cost(replace(identity, model=model), one_of(options.cost, COSTS, "cost"))
        model = identity.model
    return replace(
        identity,
        schedule=schedule,
        clipping=identity.clipping if options.clip is None else chosen_clipping(options.clip),
        optimizer=optimizer,
        model=model,
        test_pixels="raw" if options.raw_test_pixels else identity.test_pixels,
        seed=identity.seed if options.seed is None else options.seed,
        dtype=identity.dtype if options.dtype is None else one_of(options.dtype, DTYPES, "dtype"),
    )


def job(
    options: argparse.Namespace,
    chosen: Experiment,
    side: Framework,
    device: str,
    out: Path,
    reference: Path | None = None,
    hand_over: int | None = None,
) -> RecordJob:
    """The job of one side."""
    data, data_dir = sources(options)
    return RecordJob(
        experiment=chosen.name,
        identity=chosen.identity,
        realisation=getattr(chosen, side),
        data=data,
        data_dir=data_dir,
        initial_weights=options.initial_weights,
        batch_order=options.batch_order,
        reference=reference,
        checkpoints=options.checkpoints,
        hand_over=hand_over,
        twins=0 if options.verdict == "quick" else TWINS,
        without_twins=options.without_twins,
        device=device,
        out=out,
    )


def choose_verdict(options: argparse.Namespace, identity: Identity, steps: int) -> None:
    """Replace a --verdict that was not given by what so much work allows: by settings alone, so alike on both sides."""
    if options.verdict is not None:
        return
    asked = workload.estimated(identity, steps)
    options.verdict = "full" if asked <= workload.LIMIT else "quick"
    if options.verdict == "quick":
        limit = f"above {workload.LIMIT:.0e} there are no twins by default"
        reason = f"{steps} steps are some {asked:.1e} operations, and {limit}"
        options.without_twins = f"{reason} (--verdict full takes them)"


def sources(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """A job's `data` and `data_dir`, where `choose_data` has left no "auto"."""
    if options.data == MNIST:
        return None, options.data_dir.absolute()
    return None if options.data == EMBEDDED else Path(options.data), None


def draw_job(chosen: Experiment, out: Path) -> DrawJob:
    """The job of the framework that --init-from names."""
    return DrawJob(chosen.identity, "own", out / INITIAL)


def choose_data(options: argparse.Namespace, chosen: Experiment, frameworks: Sequence[Framework]) -> None:
    """Replace --data auto by what there is, and say why where that is not MNIST; or refuse what cannot be had."""
    if chosen.identity.data == "xor":
        if options.data is not None:
            raise UsageError(f"--data is for experiments on digits, and {chosen.name} has none")
        options.data = EMBEDDED
        return
    wanted = options.data or os.environ.get(DEFAULT_DATA) or AUTO
    options.data = MNIST if wanted == AUTO else wanted
    if options.data != MNIST:
        return
    reasons = sorted(filter(None, (missing(options.data_dir, LOADERS[framework]) for framework in frameworks)))
    if not reasons:
        return
    reason = f"MNIST is not in {options.data_dir}, and {', and '.join(reasons)}"
    if wanted == MNIST:
        raise UsageError(f"{reason}; {remedy(options.data_dir)}")
    options.data = EMBEDDED
    if not options.quiet:
        print(f"training on the 5,000 embedded digits: {reason}", flush=True)


def say_what_is_not_mnist(options: argparse.Namespace) -> str | None:
    """Name the folder that is trained on, where its files are not those that were published; and return that."""
    folder, _ = sources(options)
    difference = None if folder is None else digit_sources.difference(folder)
    if difference is not None and not options.quiet:
        print(f"training on {difference}", flush=True)
    return difference


def check_inputs(asked: RecordJob) -> int:
    """Read everything the job will read, so that what is wrong is said before a framework is started.

    Returned is how many steps it trains.
    """
    identity = asked.identity
    samples = TRAIN_SAMPLES
    if asked.data_dir is None:
        samples = len(datasets.load(identity.data, asked.data, identity.dtype).train_labels)
    batches = datasets.planned(identity, start.order(identity, samples, asked.batch_order))
    if isinstance(identity.optimizer, ASGD):
        try:
            identity.optimizer.require_steps(len(batches))
        except ValueError as error:
            raise UsageError(f"--optimizer asgd: {error}") from error
    checkpoint_steps(batches, asked.checkpoints)
    if identity.pretraining is not None:
        start.pretraining_order(identity, samples)
    if asked.reference is None:
        start.state(identity, asked.initial_weights, None)
        return len(batches)
    reference = start.reference(asked.reference, identity, "training")
    if asked.hand_over is not None:
        start.taken_over(reference, asked.hand_over)
    for phase in filter(None, (reference.pretraining, reference)):
        for step in phase.checkpoints:
            # What is missing or damaged could not be replayed after training.
            phase.checkpoint(step)
    return len(batches)
