"""A chapter: a port with several mistakes, checked and mended one by one until it is parity."""

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

from parity.book.language import language, say
from parity.page.model import Beside, Column, Leaf, Section, Text, Way
from parity.ports.report import Report

# Checks two files with data, and writes into a folder: (Keras's, torch's, data's, folder).
Check = Callable[[Path, Path, Path, Path], Report]
KERAS = """\
import keras


def build():
    return keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            keras.layers.Embedding(20, 8, mask_zero=True),
            keras.layers.LSTM(6),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(1),
        ]
    )


def loss(targets, outputs):
    return keras.losses.BinaryCrossentropy(from_logits=True)(targets, outputs)


def optimizer():
    return keras.optimizers.SGD(0.5)
"""
TORCH = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 1)

    def forward(self, tokens):
        states, _ = self.lstm(self.words(tokens))
        return self.head(self.norm(states[:, -1]))


def build():
    return Net()


def inputs(x):
    return torch.as_tensor(x)


def loss(outputs, targets):
    return nn.functional.binary_cross_entropy_with_logits(outputs, targets)


def optimizer(parameters):
    return torch.optim.SGD(parameters, 0.5)
"""
DATA = """\
import numpy as np


def data(rng, n):
    tokens = rng.integers(1, 20, (n, 12))
    lengths = rng.integers(3, 13, n)
    tokens[np.arange(12) >= lengths[:, None]] = 0
    return tokens.astype("int32"), rng.integers(0, 2, (n, 1)).astype("float32")
"""
# What mends each cause, by its name: pairs of what stands there and what is to stand there.
EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "lstm_batch_first": (("nn.LSTM(8, 6)", "nn.LSTM(8, 6, batch_first=True)"),),
    "epsilon": (("nn.LayerNorm(6)", "nn.LayerNorm(6, eps=1e-3)"),),
    "mask_zero_last_step": (
        (
            "        states, _ = self.lstm(self.words(tokens))\n        return self.head(self.norm(states[:, -1]))\n",
            "        packed = nn.utils.rnn.pack_padded_sequence(\n"
            "            self.words(tokens), (tokens != 0).sum(1), batch_first=True, enforce_sorted=False\n"
            "        )\n"
            "        _, (last, _) = self.lstm(packed)\n"
            "        return self.head(self.norm(last[-1]))\n",
        ),
    ),
}  # fmt: skip
MOST_TURNS = 6


def debugged(folder: Path, check: Check) -> Leaf:
    """The chapter; `check` is asked after every change."""
    keras, torch, data = (folder / name for name in ("my_keras.py", "my_torch.py", "data.py"))
    for file, text in ((keras, KERAS), (torch, TORCH), (data, DATA)):
        file.write_text(text)
    both = Beside(
        (Column("my_keras.py", (Way("", KERAS), Way("data.py", DATA))), Column("my_torch.py", (Way("", TORCH),)))
    )
    lead = (
        say(
            "Somebody has ported a small classifier of sentences from Keras to torch: words become vectors, an LSTM "
            "reads them, and its last state is classified. It runs, all shapes fit, it trains, and it is worse. Here "
            "is what happens if it is held against the original, and mended as the report says, until nothing is left."
        ),
        say(
            "No weights were copied by hand: parity.check moves them from Keras's model to torch's, the gates of the "
            "LSTM included."
        ),
    )
    sections = [Section(say("Both programs"), (both,))]
    for turn in range(1, MOST_TURNS + 1):
        report = check(keras, torch, data, folder / f"turn-{turn}")
        before = torch.read_text()
        mended = [cause for cause in report.causes if cause.name in EDITS][:1]
        for old, new in (edit for cause in mended for edit in EDITS[cause.name]):
            torch.write_text(torch.read_text().replace(old, new))
        said = Text([line for line in str(report).splitlines() if not line.startswith("  report: ")], fixed=True)
        title = say("Parity") if report else say("Check number {turn}", turn=turn)
        change = changes(before, torch.read_text())
        sections.append(Section(title, (said, *((Way(say("So this is changed:"), change),) if change else ()))))
        if report or not change:
            break
    command = "python -m parity.check my_keras.py my_torch.py --data data.py"
    sections.append(Section(say("Try it"), (Way("", command, "shell"),)))
    title, place = say("A port, debugged"), say("Chapter {number}", number=5)
    return Leaf("a-port-debugged.html", title, place, lead, tuple(sections), language=language())


def changes(before: str, after: str) -> str:
    """What changed between two texts, line by line, without places."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return "\n".join(line[0] + " " + line[1:] for line in lines if not line.startswith("@@"))
