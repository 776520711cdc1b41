"""Record one side once for each fault: python tests/faulty.py tf|torch REFERENCE FOLDER FAULT...

Every fault's recording is written to FOLDER/<fault>, with the checkpoints of REFERENCE/<experiment> replayed. A script
of its own, since a process loads one framework, and one process for all faults, since importing a framework takes
longer than a fault.
"""

import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from conftest import pretrained, shortened, xor_lbfgs
from faults import FAULTS

from parity import worker
from parity.experiments import with_dropout
from parity.job import RecordJob, in_order
from parity.optimizers import OPTIMIZERS, Clipping
from parity.spec import Framework

ROOT = Path(__file__).parents[1]
# Checkpoints 0, 1, 2, 5, 10 and 11.
EXPERIMENTS = {name: shortened(name, 12) for name in ("mnist_relu", "mnist_batchnorm")}
# By a norm that the first gradients exceed; with gradient descent, since Adam's steps do not depend on their size.
CLIPPED = shortened(
    "mnist_softmax", 12, clipping=Clipping("global_norm", 0.3), optimizer=replace(OPTIMIZERS["sgd"], learning_rate=0.5)
)
EXPERIMENTS |= {"mnist_clipped": replace(CLIPPED, name="mnist_clipped")}
NARROW = with_dropout(shortened("mnist_no_batchnorm", 12).identity.model, 0.3)
EXPERIMENTS["mnist_dropout"] = shortened("mnist_dropout", 12, model=NARROW)
EXPERIMENTS["mnist_tokens"] = shortened("mnist_tokens", 12)
# Of these the pre-training alone is recorded: its first and last step of either layer, 0, 39, 40 and 79.
EXPERIMENTS["mnist_rbm"] = pretrained(1)
EXPERIMENTS |= {"xor_lbfgs": replace(xor_lbfgs(12), name="xor_lbfgs")}
CHECKPOINTS = 6


def plant(side: Framework, edit: tuple[str, str, str], folder: Path) -> None:
    """A copy of the implementation in `folder` with the edit made, which is what Python finds from now on."""
    package = f"{side}_impl"
    file, old, new = edit
    shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / package / file
    assert old in path.read_text(), f"{file} does not hold: {old}"
    path.write_text(path.read_text().replace(old, new, 1))
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def main(side: Framework, reference: Path, folder: Path, names: list[str]) -> None:
    worker.load_side(side, threads=1)
    for name in names:
        plant(side, getattr(FAULTS[name], side), folder / "code" / name.replace(" ", "_"))
        out = folder / name.replace(" ", "_")
        experiment = EXPERIMENTS[FAULTS[name].experiment]
        job = RecordJob(experiment.name, experiment.identity, getattr(experiment, side), "cpu", out,
                        reference=reference / experiment.name, checkpoints=CHECKPOINTS)  # fmt: skip
        worker.perform(worker.import_side(side), in_order(job)[0], lambda message: None)
        sys.path.pop(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])  # type: ignore[arg-type]
