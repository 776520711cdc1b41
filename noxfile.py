"""The matrix of versions, the same here and in CI: nox -t matrix

Each version of a framework records three experiments in an environment of its own, all from the states of one
reference; the last session has neither framework, compares all pairs and writes docs/matrix.md.
"""

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.tags = ["matrix"]
# Environments of several GB are kept for the next run.
nox.options.reuse_existing_virtualenvs = True

# The Keras that goes with each TensorFlow.
TENSORFLOW = {"2.20.0": "3.12.4", "2.21.0": "3.15.1"}
TORCH = ("2.13.0", "2.15.0")
EXPERIMENTS = ("mnist_softmax", "mnist_relu", "xor_tanh")
RECORDINGS = Path(os.environ.get("PARITY_MATRIX", "runs/matrix")).absolute()
REFERENCE = RECORDINGS / "reference"
COMPARED = RECORDINGS / "versions"
TABLE = Path("docs/matrix.md")
INTRODUCTION = """\
# Versions against each other

`nox -t matrix` makes this page: every version recorded each experiment in an environment of its own, from the start
state of one reference run (the newest torch) and replayed its checkpoints, and an environment with neither framework
compared the recordings, each with each. CI does the same. "Of the bound" is how much of what rounding may explain the
worst tensor of either side's replays uses.

"""


def named(versions):
    """A session for each version, called by it."""
    return [nox.param(version, id=version) for version in versions]


def record(session, framework, folder):
    """Record the experiments in `folder`, replacing what an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in EXPERIMENTS:
        start = ["--reference", str(REFERENCE / name), "--no-evidence"] if folder != REFERENCE else []
        # The same digits wherever it runs.
        options = ["--data", "embedded", "--out", str(folder / name), "--quiet"]
        session.run("python", "-m", "parity.record", name, "--framework", framework, *start, *options)


@nox.session(tags=["matrix"])
def reference(session):
    """One run of each experiment, from whose start state all others begin."""
    session.install("-e", ".", f"torch=={TORCH[-1]}")
    record(session, "torch", REFERENCE)


@nox.session(tags=["matrix", "record"])
@nox.parametrize("tensorflow", named(TENSORFLOW))
def tf(session, tensorflow):
    """Record with one version of TensorFlow and its Keras."""
    session.install("-e", ".", f"tensorflow=={tensorflow}", f"keras=={TENSORFLOW[tensorflow]}")
    record(session, "tf", COMPARED / f"tensorflow-{tensorflow}")


@nox.session(tags=["matrix", "record"])
@nox.parametrize("torch", named(TORCH))
def torch(session, torch):
    """Record with one version of torch."""
    session.install("-e", ".", f"torch=={torch}")
    record(session, "torch", COMPARED / f"torch-{torch}")


@nox.session(tags=["matrix"])
def compare(session):
    """Compare all pairs, in an environment with neither framework."""
    session.install(".")
    listed = session.run("python", "-m", "pip", "list", silent=True)
    if any(line.split()[0] in ("tensorflow", "keras", "torch") for line in listed.splitlines() if line):
        session.error("a framework is installed where none should be")
    table = RECORDINGS / "table.md"
    table.unlink(missing_ok=True)
    try:
        session.run("python", "-m", "parity.matrix", str(COMPARED), "--out", str(table))
    finally:
        # A mismatch fails the session, but its table is what one wants to see then.
        if table.exists():
            TABLE.write_text(INTRODUCTION + table.read_text())
            session.log(TABLE.read_text())
