"""Each fault of tests/faults.py, planted on either side, turns the verdict to mismatch, and is found where it acts."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import selected
from faults import FAULTS
from faulty import CHECKPOINTS, EXPERIMENTS

from parity import recording
from parity.job import RecordJob, in_order
from parity.recording import PRETRAINING, Recording
from parity.spec import FRAMEWORKS
from parity.verdict import Verdict, judge, pretraining

# One of each kind, for CI.
ALWAYS = {
    "a layer is 1e-12 too large", "the second moment is not restored", "weights are shrunk at step 8 only",
    "Keras's epsilon for a batch norm", "probabilities are taken for samples", "the oldest pair is not dropped",
}  # fmt: skip
CASES = [
    pytest.param(side, name, marks=pytest.mark.ci if name in ALWAYS else pytest.mark.slow)
    for side in FRAMEWORKS
    for name in FAULTS
]


@pytest.fixture(scope="module")
def clean(workers, tmp_path_factory, request):
    """Both sides without a fault, recorded apart, each replaying nothing but its own checkpoints."""
    folder = tmp_path_factory.mktemp("clean")
    for side, worker in workers.items():
        for name in {"mnist_relu", *(FAULTS[fault].experiment for fault in selected(request, "name"))}:
            experiment = EXPERIMENTS[name]
            job = RecordJob(name, experiment.identity, getattr(experiment, side), "cpu", folder / side / name,
                            checkpoints=CHECKPOINTS)  # fmt: skip
            worker.record(in_order(job)[0], lambda done, steps: None)
    return folder


@pytest.fixture(scope="module")
def faulty(clean, tmp_path_factory, request):
    """A recording of every faulty side, which has replayed the other side's checkpoints."""
    folder = tmp_path_factory.mktemp("faulty")
    names = selected(request, "name")

    def record(side: str) -> None:
        other = clean / ("torch" if side == "tf" else "tf")
        script = Path(__file__).parent / "faulty.py"
        command = [sys.executable, str(script), side, str(other), str(folder / side), *names]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120 * len(names))
        assert done.returncode == 0, done.stderr[-3000:]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(record, FRAMEWORKS))
    return lambda side, name: first_phase(folder / side / name.replace(" ", "_"))


def first_phase(folder: Path) -> Recording:
    """What was recorded: a training, or a pre-training."""
    inside = folder / PRETRAINING
    return recording.read(inside, "pretraining") if inside.exists() else recording.read(folder)


def paired(side: str, ours: Recording, clean: Path) -> tuple[Recording, Recording]:
    """Keras's recording and torch's, `ours` being that of `side`."""
    theirs = first_phase(clean / ("torch" if side == "tf" else "tf") / ours.manifest.experiment)
    return (ours, theirs) if side == "tf" else (theirs, ours)


def judged(a: Recording, b: Recording) -> Verdict:
    """The verdict on two trainings, or on two pre-trainings."""
    return judge(a, b) if a.manifest.phase == "training" else Verdict.of(pretraining.judged(a, b))


@pytest.mark.parametrize(("side", "name"), CASES)
def test_fault_is_found(side, name, faulty, clean):
    verdict = judged(*paired(side, faulty(side, name), clean))
    assert verdict.verdict == "mismatch"
    first = next(check for check in verdict.checks if check.result == "failed")
    fault = FAULTS[name]
    assert first.level == fault.level
    assert fault.tensor in first.name
    assert f"step {fault.step}" in (first.where or "")


@pytest.mark.ci
def test_without_a_fault_there_is_parity(clean, workers, tmp_path):
    folder = tmp_path / "again"
    experiment, reference = EXPERIMENTS["mnist_relu"], clean / "torch" / "mnist_relu"
    job = RecordJob("mnist_relu", experiment.identity, experiment.tf, "cpu", folder,
                    reference=reference, checkpoints=CHECKPOINTS)  # fmt: skip
    workers["tf"].record(job, lambda done, steps: None)
    assert judge(recording.read(folder), recording.read(reference)).verdict == "parity"
