"""Are a Keras and a torch network the same computation, and if not, what differs first?

    import parity
    report = parity.run_experiment("mnist_relu", epochs=1)
    print(report)

What a program uses stands in `__all__`; everything else is for this package itself, and may change. Nothing is
imported before it is used, and no framework ever is: they run in processes of their own.
"""

from importlib import import_module

from parity import errors

# What type checkers take for true. Not from `typing`: it takes longer to be imported than all else that precedes
# a command's answer to Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from parity.check import check_models
    from parity.compare import compare_recordings
    from parity.experiment.experiments import list_experiments
    from parity.explain import Explanation, explain_difference, list_differences
    from parity.record import record_experiment
    from parity.report.value import Report
    from parity.run import run_experiment

__version__ = "0.1.0"

__all__ = [
    "Explanation",
    "Report",
    "__version__",
    "check_models",
    "compare_recordings",
    "errors",
    "explain_difference",
    "list_differences",
    "list_experiments",
    "record_experiment",
    "run_experiment",
]

# The module that each name comes from: beside the command that does the same.
SOURCES = {
    "Explanation": "parity.explain",
    "Report": "parity.report.value",
    "check_models": "parity.check",
    "compare_recordings": "parity.compare",
    "explain_difference": "parity.explain",
    "list_differences": "parity.explain",
    "list_experiments": "parity.experiment.experiments",
    "record_experiment": "parity.record",
    "run_experiment": "parity.run",
}


def __getattr__(name: str) -> "Any":
    """Import what is asked for (PEP 562)."""
    if name not in SOURCES:
        raise AttributeError(f"module 'parity' has no attribute {name!r}")
    return getattr(import_module(SOURCES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
