"""Load MNIST by one side's loader from each folder: python tests/loaded.py tf|torch OUT FOLDER...

OUT/<n>.npz is written with what came of the n-th folder, or OUT/<n>.txt with what was said instead. A script of its
own, since a process loads one framework.
"""

import sys
from pathlib import Path

import numpy as np

from parity.errors import UsageError
from parity.experiment.spec import Framework
from parity.worker import serving


def main(side: Framework, out: Path, folders: list[Path]) -> None:
    loaded = serving.load_side(side, threads=1)
    for number, folder in enumerate(folders):
        try:
            np.savez(out / f"{number}.npz", **vars(loaded.data.mnist(folder)))
        except UsageError as error:
            (out / f"{number}.txt").write_text(str(error))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(folder) for folder in sys.argv[3:]])  # type: ignore[arg-type]
