"""A step of each stock optimizer: what it keeps of each weight is paired, and a fault in it is found."""

from dataclasses import replace

import pytest
from own_pairs import PAIRS, Pair

from parity.ports.check import Request, checked

KERAS = """
def build():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(1)])
"""
TORCH = "def build():\n    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))\n"
# Keras's arguments, torch's, those of a wrong port, and what both keep. Epsilons are 0 where they are added elsewhere.
OPTIMIZERS = {
    "SGD": ("SGD(0.1, momentum=0.9)", "SGD(p, 0.1, momentum=0.9)", "SGD(p, 0.1, momentum=0.9, dampening=0.1)", 1),
    "Nesterov": (
        "SGD(0.1, momentum=0.9, nesterov=True)",
        "SGD(p, 0.1, momentum=0.9, nesterov=True)",
        "SGD(p, 0.1, momentum=0.9)",
        1,
    ),
    "RMSprop": (
        "RMSprop(0.01, rho=0.9, momentum=0.5, epsilon=0, centered=True)",
        "RMSprop(p, 0.01, alpha=0.9, momentum=0.5, eps=0, centered=True)",
        "RMSprop(p, 0.01, alpha=0.9, momentum=0.5, eps=0)",
        3,
    ),
    "Adagrad": (
        "Adagrad(0.01, initial_accumulator_value=0.1, epsilon=0)",
        "Adagrad(p, 0.01, initial_accumulator_value=0.1, eps=0)",
        "Adagrad(p, 0.01, eps=0)",
        1,
    ),
    "Adadelta": (
        "Adadelta(0.5, rho=0.9, epsilon=1e-6)",
        "Adadelta(p, 0.5, rho=0.9, eps=1e-6)",
        "Adadelta(p, 0.5, rho=0.95, eps=1e-6)",
        2,
    ),
    "Adamax": ("Adamax(0.01, epsilon=1e-7)", "Adamax(p, 0.01, eps=1e-7)", "Adamax(p, 0.01, eps=1e-8)", 2),
    "Nadam": (
        "Nadam(0.01, epsilon=1e-7)",
        "NAdam(p, 0.01, eps=1e-7, momentum_decay=1)",
        "NAdam(p, 0.01, eps=1e-7)",
        2,
    ),
    "AMSGrad": (
        "Adam(0.01, amsgrad=True, epsilon=0)",
        "Adam(p, 0.01, amsgrad=True, eps=0)",
        "Adam(p, 0.01, betas=(0.9, 0.99), amsgrad=True, eps=0)",
        3,
    ),
    "AdamW": (
        "AdamW(0.01, weight_decay=0.02, epsilon=0)",
        "AdamW(p, 0.01, weight_decay=0.02, eps=0)",
        "AdamW(p, 0.01, eps=0)",
        2,
    ),
}  # fmt: skip
SEVERAL = [
    pytest.param(name, marks=[pytest.mark.ci] if name not in ("SGD", "RMSprop", "Adamax") else [])
    for name in OPTIMIZERS
]


def stepped(name, torch, own_workers, folder, steps=1):
    """The report on a pair that is trained by a stock optimizer of either side."""
    keras = f"def optimizer():\n    return keras.optimizers.{OPTIMIZERS[name][0]}\n"
    ported = f"def optimizer(parameters):\n    p = list(parameters)\n    return torch.optim.{torch}\n"
    pair = Pair(KERAS, TORCH, PAIRS["rounding"].data, (), optimizer=(keras, ported), steps=steps)
    paths = pair.write(folder)
    return checked(
        Request(*map(str, (paths["keras"], paths["torch"])), data=str(paths["data"])), own_workers, folder / "out"
    )


@pytest.mark.parametrize("name", SEVERAL)
def test_what_an_optimizer_keeps_is_judged(name, own_workers, tmp_path):
    _, right, wrong, kept = OPTIMIZERS[name]
    # What Adamax adds epsilon to decays with it in torch alone, so that its second step is another one.
    report = stepped(name, right, own_workers, tmp_path / "right", 1 if name == "Adamax" else 3)
    assert report.verdict == "parity", str(report)
    step = [finding for finding in report.findings if finding.level == "optimizer step"]
    # Four weights, and as many of each slot.
    assert len(step) == 4 * (1 + kept)
    assert all(finding.result == "passed" for finding in step), step
    report = stepped(name, wrong, own_workers, tmp_path / "wrong", 3)
    assert report.first_divergence is not None
    late = "dampening" in wrong
    assert report.first_divergence.level == ("steps" if late else "optimizer step"), str(report)


def test_the_slot_is_judged_by_itself(own_workers, tmp_path):
    """A momentum that is off by 1e-9 of itself, where the weights of the first step are right."""
    pair = replace(
        PAIRS["rounding"],
        optimizer=(
            "def optimizer():\n    return keras.optimizers.SGD(0.1, momentum=0.9)\n",
            "class Doubled(torch.optim.SGD):\n    def step(self):\n        super().step()\n"
            "        for state in self.state.values():\n            state['momentum_buffer'] *= 1 + 1e-9\n\n"
            "def optimizer(parameters):\n    return Doubled(parameters, 0.1, momentum=0.9)\n",
        ),
    )
    paths = pair.write(tmp_path)
    report = checked(
        Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"])), own_workers, tmp_path / "o"
    )
    assert report.first_divergence is not None
    assert report.first_divergence.level == "optimizer step", str(report)
    failed = [f for f in report.findings if f.level == "optimizer step" and f.result == "failed"]
    assert len(failed) == 2
