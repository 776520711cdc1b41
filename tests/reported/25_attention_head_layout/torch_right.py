"""The same, ported right."""

from functools import partial
from pathlib import Path
from runpy import run_path

_side = run_path(str(Path(__file__).with_name("torch_side.py")))
globals().update(
    {
        name: partial(_side[name], aligned=True)
        for name in ("build", "port", "loss", "optimizer", "inputs", "predict", "step")
        if name in _side
    }
)
