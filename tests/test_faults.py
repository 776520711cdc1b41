"""Each fault of benchmarks/faults, planted on either side, turns the verdict to mismatch, found where it acts."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import selected

from benchmarks.families import family
from benchmarks.faults import FAULTS
from benchmarks.planted import Planter
from parity.experiment.spec import FRAMEWORKS
from parity.recordings import recording
from parity.recordings.recording import PRETRAINING, Recording
from parity.verdict import Verdict, judge, pretraining
from parity.workers.job import RecordJob, in_order

# Checkpoints 0, 1, 2, 5, 10 and 11; of pre-training, which is recorded alone, the first and last step of either layer.
STEPS, CHECKPOINTS = 12, 6
# Of most kinds, for CI, by turns on one side and the other.
ALWAYS = {
    ("a layer is 1e-12 too large", "tf"), ("the second moment is not restored", "torch"),
    ("weights are shrunk at step 8 only", "tf"), ("Keras's epsilon for a batch norm", "torch"),
}  # fmt: skip
# The others are planted by benchmarks/detection.py, in longer runs: they act later.
CASES = [
    pytest.param(side, name, marks=pytest.mark.ci if (name, side) in ALWAYS else pytest.mark.slow)
    for side in FRAMEWORKS
    for name, fault in FAULTS.items()
    if side in fault.edits and fault.since < STEPS
]
EXPERIMENTS = {fault.experiment: family(fault.experiment, STEPS) for fault in FAULTS.values()}


@pytest.fixture(scope="module")
def clean(workers, tmp_path_factory, request):
    """Both sides without a fault, recorded apart, each replaying nothing but its own checkpoints."""
    folder = tmp_path_factory.mktemp("clean")
    for side, worker in workers.items():
        for name in {"mnist_narrow", *(FAULTS[fault].experiment for fault in selected(request, "name"))}:
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
        with Planter(side, time_limit=300) as planter:
            for name in [name for name in names if side in FAULTS[name].edits]:
                experiment = EXPERIMENTS[FAULTS[name].experiment]
                job = RecordJob(experiment.name, experiment.identity, getattr(experiment, side), "cpu",
                                folder / side / name.replace(" ", "_").replace("/", "_"),
                                reference=other / experiment.name, checkpoints=CHECKPOINTS)  # fmt: skip
                planter.plant(name, in_order(job)[0])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(record, FRAMEWORKS))
    return lambda side, name: first_phase(folder / side / name.replace(" ", "_").replace("/", "_"))


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
    fault = FAULTS[name]
    assert verdict.verdict == ("incomparable" if fault.level == "preflight" else "mismatch")
    first = next(check for check in verdict.checks if check.result == "failed")
    assert first.level == fault.level
    assert fault.tensor in first.name
    assert fault.step is None or f"step {fault.step}" in (first.where or "")


@pytest.mark.ci
def test_without_a_fault_there_is_parity(clean, workers, tmp_path):
    folder = tmp_path / "again"
    experiment, reference = EXPERIMENTS["mnist_narrow"], clean / "torch" / "mnist_narrow"
    job = RecordJob("mnist_narrow", experiment.identity, experiment.tf, "cpu", folder,
                    reference=reference, checkpoints=CHECKPOINTS)  # fmt: skip
    workers["tf"].record(job, lambda done, steps: None)
    assert judge(recording.read(folder), recording.read(reference)).verdict == "parity"
