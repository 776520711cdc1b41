"""Settings of the Python interface: the options of the command line, under the same names and with the same words.

`run_experiment("mnist_relu", batch_size=50, choice="tf:adam_epsilon=before_correction")` asks for what
`python -m parity.run mnist_relu --batch-size 50 --choice tf:adam_epsilon=before_correction` does.
"""

import argparse
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, TypedDict

from parity.commands.options import Parser
from parity.errors import UsageError
from parity.experiment.requested import one_of

File = str | PathLike[str]


class Settings(TypedDict, total=False):
    """Settings of the training and of where it is written; `python -m parity.run --help` says what each means.

    None stands for an option that is not given.
    """

    data: File | None
    data_dir: File | None
    epochs: int | None
    steps: int | None
    batch_size: int | None
    keep_last_batch: bool
    epoch_cost: str | None
    test_loss: str | None
    evaluate_training: bool
    raw_test_pixels: bool
    cost: str | None
    lr: float | None
    seed: int | None
    activation: str | None
    dropout: float | None
    init: str | None
    optimizer: str | None
    clip: str | None
    dtype: str | None
    # One or several.
    choice: str | Sequence[str] | None
    # How many, or before which steps.
    checkpoints: int | Sequence[int] | None
    verdict: str | None
    device: str | None
    init_from: str | None
    initial_weights: File | None
    batch_order: File | None
    time_limit: float | None
    out: File | None
    quiet: bool


class RunSettings(Settings, total=False):
    """The settings of `run_experiment`."""

    tensorboard: File | None
    no_figures: bool


class RecordSettings(Settings, total=False):
    """The settings of `record_experiment`."""

    reference: File | None
    hand_over: int | None
    no_evidence: bool


def parsed(parser: Parser, words: Sequence[object], settings: Mapping[str, object]) -> argparse.Namespace:
    """The options as a command reads them when `words` and these values are typed; raises UsageError as it does."""
    return parser.parse_args(typed(parser, words, settings))


def typed(parser: Parser, words: Sequence[object], settings: Mapping[str, object]) -> list[str]:
    """What is typed for `words` and these values."""
    found: list[str] = []
    for name, value in settings.items():
        found += spelled(name, parser.options[one_of(name, parser.options, "setting")], value)
    return [*found, "--", *map(str, words)]


def spelled(name: str, action: argparse.Action, value: Any) -> list[str]:
    """An option with its value as it is typed."""
    option = action.option_strings[-1]
    if value is None:
        return []
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UsageError(f"{name} must be True or False, not {value!r}")
        return [option] if value else []
    several = not isinstance(value, str) and isinstance(value, Sequence)
    if isinstance(action.default, list):
        return [f"{option}={one}" for one in (value if several else [value])]
    # With a comma, a number is a step and not how many.
    return [f"{option}={','.join(map(str, value))}," if several else f"{option}={value}"]
