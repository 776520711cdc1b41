"""What each framework's own initializers draw, against parity/experiment/initializers.py: docs/initializers.md.

    python -m benchmarks.initializers

Each framework draws a million values of each initializer in three ways (`Calling` in parity/experiment/spec.py). They
are held against the formula by their mean, deviation and largest value and by a Kolmogorov-Smirnov test; where they are
not it, the other formulas are tried, so that a difference gets a name.
"""

import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from benchmarks.distributions import Sample, cumulative
from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.initializers import Distribution, distribution
from parity.experiment.nodes import Dense
from parity.experiment.requested import initializer
from parity.experiment.spec import FRAMEWORKS, LABELS, Calling, Framework, Identity
from parity.workers.job import DrawJob
from parity.workers.processes import Worker

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"
# A kernel of a million values, whose sides are so different that the wrong fan shows; a bias of a million.
KERNEL, BIAS = (2000, 500), (2, 1_000_000)
BIASES = ("torch_default", "keras_default")
KERNELS = (
    "zeros", "ones", "constant:0.1", "normal:0.05", "uniform:0.05", "truncated_normal:0.05", "xavier_uniform",
    "xavier_normal", "xavier_normal_truncated", "he_uniform", "he_normal", "he_normal_truncated", "lecun_uniform",
    "lecun_normal", "lecun_normal_truncated", "orthogonal", "torch_default", "keras_default",
)  # fmt: skip
CUT_IN_TORCH = "`trunc_normal_(w, std=s, a=-2*s, b=2*s)`, s = sqrt({}) / 0.8796"
# What to write for the formula where the framework's own name means another one, or there is none.
WRITE = {
    ("xavier_normal", "tf"): '`VarianceScaling(1, "fan_avg", "untruncated_normal")`',
    ("he_normal", "tf"): '`VarianceScaling(2, "fan_in", "untruncated_normal")`',
    ("lecun_normal", "tf"): '`VarianceScaling(1, "fan_in", "untruncated_normal")`',
    (
        "torch_default",
        "tf",
    ): '`VarianceScaling(1/3, "fan_in", "uniform")`, bias `RandomUniform(-b, b)`, b = inputs^-1/2',
    ("truncated_normal:0.05", "torch"): "`trunc_normal_(w, std=s, a=-2*s, b=2*s)`, s = 0.05",
    ("xavier_normal_truncated", "torch"): CUT_IN_TORCH.format("2 / (inputs + units)"),
    ("he_normal_truncated", "torch"): CUT_IN_TORCH.format("2 / inputs"),
    ("lecun_uniform", "torch"): '`kaiming_uniform_(w, nonlinearity="linear")`',
    ("lecun_normal", "torch"): '`kaiming_normal_(w, nonlinearity="linear")`',
    ("lecun_normal_truncated", "torch"): CUT_IN_TORCH.format("1 / inputs"),
    ("keras_default", "torch"): "`xavier_uniform_(linear.weight)`, `zeros_(linear.bias)`",
}


class Case(NamedTuple):
    """A kernel [inputs, units], or a bias [units] of as many, and the initializer's name as one types it."""

    name: str
    inputs: int
    units: int
    bias: bool

    @property
    def kind(self) -> str:
        """Which of the layer's weights it is."""
        return "bias" if self.bias else "kernel"

    @property
    def formula(self) -> Distribution:
        """What it is to be drawn from."""
        return distribution(initializer(self.name), self.inputs, self.units, self.bias)

    @property
    def identity(self) -> Identity:
        """One layer that is drawn like this."""
        weights = {"kernel": initializer("zeros"), "bias": initializer("zeros")} | {self.kind: initializer(self.name)}
        layer = Dense("dense", self.inputs, self.units, **weights)
        # A seed of its own, or all would scale the same draw.
        seed = zlib.crc32(self.name.encode())
        return replace(EXPERIMENTS["mnist_softmax"].identity, model=(layer,), seed=seed)


CASES = [Case(name, *KERNEL, bias=False) for name in KERNELS] + [Case(name, *BIAS, bias=True) for name in BIASES]
# What both frameworks can be asked for by the name alone.
PLAIN = [
    Case(name, *KERNEL, bias=False)
    for name in ("normal", "uniform", "truncated_normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal")
]
# A distribution in writing, by its family and with its scale.
SHOWN = {
    "constant": "{:g}",
    "normal": "N(0, {:.5f}^2)",
    "uniform": "U(-{0:.5f}, {0:.5f})",
    "truncated_normal": "N(0, {:.5f}^2) cut",
    "orthogonal": "a coordinate on a sphere of radius 1 in {:g} dimensions",
}


def drawn_from(sample: Sample, case: Case) -> str:
    """What these values are drawn from: the case's own formula, or the first other one that they agree with."""
    names = [case.name, *KERNELS, "normal", "uniform", "truncated_normal"]
    formulas = {name: case._replace(name=name).formula for name in names}
    formulas |= {
        f"{name}, inputs and units swapped": Case(name, case.units, case.inputs, bias=False).formula for name in KERNELS
    }
    for name, formula in formulas.items():
        if sample.problem(formula) is None:
            return name
    # The only one that is not around zero.
    around_zero = Sample(2 * sample.values - 1)
    return "unknown" if around_zero.problem(formulas["uniform"]) else "uniform from 0 to 1"


class Figures(NamedTuple):
    """What is told of a sample: `p` of its formula (NaN for a constant), and `name`, what it is drawn from."""

    deviation: float
    largest: float
    p: float
    name: str
    # Of an orthogonal matrix from orthonormal: the largest element of |Q^T Q - I| for its shorter side.
    departure: float | None


# By who draws (a framework, or "neutral"), how it is asked, and what.
Results = dict[tuple[str, Calling, Case], Figures]


def figures(case: Case, values: NDArray[np.float32]) -> Figures:
    """The figures of values that were drawn for `case`."""
    sample, formula = Sample(values), case.formula
    p = float("nan") if formula.family == "constant" else sample.p(formula)
    departure = None
    if formula.family == "orthogonal":
        tall = values.astype(np.float64)
        departure = float(np.abs(tall.T @ tall - np.eye(tall.shape[1])).max())
    return Figures(sample.deviation, sample.largest, p, drawn_from(sample, case), departure)


def neutral(case: Case) -> Figures:
    """The figures of what parity/experiment/randomness.py draws."""
    return figures(case, randomness.initial_weights(case.identity)[f"dense/{case.kind}"])


def framework(worker: Worker, case: Case, calling: Calling) -> Figures:
    """The figures of what a framework's own initializer draws."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawn.safetensors"
        worker.draw(DrawJob(case.identity, calling, file))
        return figures(case, safetensors.numpy.load_file(file)[f"layers.0.{case.kind}"])


def measure(workers: Mapping[Framework, Worker]) -> Results:
    """The figures of every case, by who draws and how it is asked."""
    found = {("neutral", "formula", case): neutral(case) for case in CASES}
    for side, worker in workers.items():
        for case in CASES:
            found[side, "own", case] = framework(worker, case, "own")
            # Asked for the formula, it does the same unless its name means something else.
            again = found[side, "own", case].name != case.name
            found[side, "formula", case] = framework(worker, case, "formula") if again else found[side, "own", case]
        for case in PLAIN:
            found[side, "plain", case] = framework(worker, case, "plain")
    return found


def page(found: Results) -> str:
    """docs/initializers.md."""
    return PAGE.format(
        own="\n".join(own_row(found, case) for case in CASES),
        write="\n".join(f"| {name} | {LABELS[side]} | {call} |" for (name, side), call in WRITE.items()),
        plain="\n".join(plain_row(found, case) for case in PLAIN),
        departures=" and ".join(
            f"{found[side, 'own', case].departure:.1e} ({label})"
            for case in CASES
            if case.name == "orthogonal"
            for side, label in LABELS.items()
        ),
    )


def own_row(found: Results, case: Case) -> str:
    """One initializer: its formula, and what each framework draws by that name."""
    family, scale = case.formula
    cells = [f"{case.name}{' (bias)' if case.bias else ''}", f"{SHOWN[family].format(scale)}"]
    cells.append(f"{case.formula.deviation:.5f}")
    for side in FRAMEWORKS:
        own = found[side, "own", case]
        cells += [f"{own.deviation:.5f}", f"{own.largest:.4f}", f"{own.p:.2g}" if own.p == own.p else "equal"]
    differing = [
        f"{LABELS[side]}: {name}" for side in FRAMEWORKS if (name := found[side, "own", case].name) != case.name
    ]
    return f"| {' | '.join(cells)} | {'; '.join(differing)} |"


def plain_row(found: Results, case: Case) -> str:
    """What each framework draws if it is told nothing but the name."""
    return f"| {case.name} | {' | '.join(found[side, 'plain', case].name for side in FRAMEWORKS)} |"


def picture(path: Path) -> None:
    """The densities of he_normal and he_normal_truncated at 784 inputs."""
    x = np.linspace(-0.2, 0.2, 2001)
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    for name, label in (("he_normal", "torch: kaiming_normal_"), ("he_normal_truncated", "Keras: HeNormal")):
        formula = Case(name, 784, 256, bias=False).formula
        axes.plot((x[1:] + x[:-1]) / 2, np.diff(cumulative(formula, x)) / np.diff(x), label=f"{name} ({label})")
    axes.set(xlabel="weight, 784 inputs", ylabel="density", title="The same deviation, another distribution")
    figure.legend(frameon=False, ncols=2, loc="outside lower center")
    figure.savefig(path, dpi=120)
    plt.close(figure)


PAGE = """\
# Initializers

`python -m benchmarks.initializers` makes this page. Both sides of an experiment start from the same weights, drawn by
`parity/experiment/randomness.py` from the formulas in the first columns (`--init NAME` or `--init NAME:NUMBER`). With
`--init-from tf` or `--init-from torch` they start from what that framework's own initializers draw instead; it is kept
in the run's folder as `initial.safetensors`, which `--initial-weights` takes elsewhere.

## By their own names

Each framework drew a million values: a kernel of 2000 inputs and 500 units, or the bias of a layer with 2 inputs. p is
of a Kolmogorov-Smirnov test against the formula (any value above 0.0001 is chance). Where a framework draws something
else, the last column says what.

| initializer | formula | deviation | Keras: deviation | largest | p | torch: deviation | largest | p | it draws |
|---|---|---|---|---|---|---|---|---|---|
{own}

N is a normal distribution, U a uniform one. The truncated normal is N cut at two deviations; where Keras's own are
truncated, they are widened by 1 / 0.8796 first, so that the deviation stays what the paper says. torch's limits are
absolute values, -2 and 2, so a truncated normal of deviation 0.05 is not cut at all.

![he_normal with and without truncation](initializers.png)

The frameworks' orthogonal kernels, computed in float32, depart from Q^T Q = I by {departures}.
One entry of such a kernel is distributed like a coordinate of a point on a sphere.

## What to write for the formula

Where the framework has no initializer of that name, or one that means something else. The same tests hold these calls
to the formula; what is not listed is the formula when called by its name.

| formula | in | write |
|---|---|---|
{write}

## By the name and nothing else

What a program gets that calls the initializer without arguments, on a kernel (2000 inputs, 500 units). torch takes the
fan in from the second side, since it keeps a kernel as (units, inputs): the same call on a transposed kernel is another
initializer.

| called | Keras draws | torch draws |
|---|---|---|
{plain}

`kaiming_uniform_` and `kaiming_normal_` without arguments have the gain of leaky ReLU with slope 0, which is ReLU's;
`torch.nn.Linear` calls `kaiming_uniform_` with slope sqrt(5), which is U(-1/sqrt(inputs), 1/sqrt(inputs)).
"""


def main() -> None:
    with Worker("tf", "cpu", 1) as tf, Worker("torch", "cpu", 1) as torch:
        found = measure({"tf": tf, "torch": torch})
    (DOCS / "initializers.md").write_text(page(found))
    picture(DOCS / "initializers.png")


if __name__ == "__main__":
    main()
