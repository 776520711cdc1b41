"""Two chapters on XOR: gradients that vanish, seen in both frameworks, and the NaN that was blamed on them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parity.book.lab import Lab, Pair, costs_of
from parity.book.language import language, say
from parity.page.model import Leaf, Part, Picture, Section, Table, Text, Way
from parity.page.svg import Hover, legend, panels, ticked
from parity.report.pictures import COLOURS, DASHES, WIDTH, maps, picture, positive, thinned

STEPS = 1000
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "prelu", "linear")
STARTS = {"zeros": "zeros", "N(0, 1)": "normal:1", "Xavier": "xavier_uniform", "He": "he_normal"}
SHALLOW = {
    "sigmoids": "mnist_no_batchnorm --activation sigmoid",
    "sigmoids, normalised": "mnist_batchnorm --activation sigmoid",
    "ReLUs": "mnist_no_batchnorm",
    "ReLUs, normalised": "mnist_batchnorm",
    "ReLUs, dropout": "mnist_no_batchnorm --dropout 0.3",
}
# Four ways to write one cost, and what each computes of an output h, or of z before the sigmoid.
COSTS = ("naive", "clamped", "clipped", "logits")
# It learns well for some steps, and then takes one that is too large.
SATURATED, SEEN = "xor_leaky_relu --cost {} --lr 0.3 --seed 3 --steps {}", 120
Values = NDArray[np.float64]


def vanish(lab: Lab) -> Leaf:
    """Gradient norms by layer and step: six activations, four starts, and what helps."""
    by_activation = {name: lab.pair(f"xor_{name} --steps {STEPS}", judged=False) for name in ACTIVATIONS}
    by_start = {
        name: lab.pair(f"xor_sigmoid --init {start} --steps {STEPS}", judged=False) for name, start in STARTS.items()
    }
    others = {name: lab.pair(f"{name_of} --steps 200", judged=False) for name, name_of in SHALLOW.items()}
    with_dead = {name: pair for name, pair in by_activation.items() if any_dead(pair)}
    shares = {name: share(pair) for name, pair in by_activation.items()}
    lead = (
        say(
            "A network of ten layers is to learn XOR: two inputs, and an output that is 1 if exactly one of them is. "
            "The gradient of the cost begins at the last layer, and each layer before it multiplies it by its weights "
            "and by the derivative of its activation. A sigmoid's derivative is at most 1/4: nine of them make at most "
            "{least} of it.",
            least=f"{0.25**9:.0e}",
        ),
        say(
            "With sigmoids, the first layer's gradient is {sigmoid} of the last one's at the start, in Keras as in "
            "torch; with tanh {tanh}, with ReLUs {relu}.",
            **{name: shares[name] for name in ("sigmoid", "tanh", "relu")},
        ),
    )
    rows = [
        [name, shares[name], *(f"{costs[side][-1]:.3g}" for side in ("tf", "torch")), *dead(pair)]
        for name, pair in by_activation.items()
        for costs in [costs_of(pair)]
    ]
    columns = [
        say("activation"),
        say("first layer's gradient / last's, at the start"),
        say("cost after {steps} steps, Keras", steps=STEPS),
        "torch",
        say("most dead units in a layer, Keras"),
        "torch",
    ]
    started = say(
        "The same network of sigmoids from four starts. From zeros, all units of a layer are one unit, and what comes "
        "to the first layers is nothing at all. The wide N(0, 1) saturates sigmoids; Xavier's and He's widths keep the "
        "sizes of activations and gradients from layer to layer, but no start makes the derivative of a sigmoid larger "
        "than 1/4."
    )
    helped = say(
        "On digits, in a narrow network: sigmoids, ReLUs, and what people put between layers. Batch normalisation "
        "brings each layer's inputs back to mean 0 and deviation 1; dropout takes random units out of a step, in both "
        "frameworks here the same ones."
    )
    return Leaf(
        "vanishing-gradients.html",
        say("Vanishing gradients, seen"),
        say("Chapter {number}", number=3),
        lead,
        (
            Section(say("Six activations"), (of_norms(by_activation), Table(columns, rows), of_dead(with_dead))),
            Section(say("Four starts"), (Text([started]), of_norms(by_start))),
            Section(say("What helps"), (Text([helped]), of_norms(others))),
            Section(say("Try it"), (Way("", f"python -m parity.run xor_sigmoid --steps {STEPS}", "shell"),)),
        ),
        language=language(),
    )


def share(pair: Pair) -> str:
    """The first layer's gradient norm in parts of the last one's, at the first checkpoint, of Keras's side."""
    norms = pair[0].flow()["gradient_norm"][0]
    return "none" if not norms[-1] or not np.isfinite(norms[[0, -1]]).all() else f"{norms[0] / norms[-1]:.0e}"


def dead(pair: Pair) -> list[str]:
    """The largest share of dead units in a layer at the end, of either side."""
    return [f"{np.nanmax(side.flow()['dead_units'][-1]):.0%}" for side in pair]


def any_dead(pair: Pair) -> bool:
    """Whether any unit is dead at any checkpoint."""
    return any(bool((side.flow()["dead_units"] > 0).any()) for side in pair)


def of_norms(pairs: dict[str, Pair]) -> Part:
    """Maps of gradient norms, of all pairs and both sides on one scale of colours."""
    title, said = say("Norm of each layer's gradient, by step;"), say("a gap where it is zero.")
    return several(pairs, "gradient_norm", title, said)


def of_dead(pairs: dict[str, Pair]) -> Part:
    """Maps of dead units."""
    said = say("the share of a layer's units whose derivative is zero for every sample. The other networks have none.")
    return several(pairs, "dead_units", say("Dead units:"), said)


def several(pairs: dict[str, Pair], what: str, title: str, said: str) -> Part:
    """Maps of one quantity: a row for each pair, Keras's side and torch's."""
    sides = [(f"{name}, {side.label}", side) for name, pair in pairs.items() for side in pair]
    flows = [side.flow() for _, side in sides]
    values: list[Values] = [flow[what] for flow in flows]
    limits: tuple[float, float] | None = (0.0, 1.0)
    if what == "gradient_norm":
        values, limits = [np.log10(positive(value)) for value in values], None
    steps = [[int(step) for step in flow["steps"]] for flow in flows]
    return maps(title, said, [label for label, _ in sides], steps, values, limits)


def not_a_number(lab: Lab) -> Leaf:
    """One network, saturated, under four ways to write its cost."""
    pairs = {name: lab.pair(SATURATED.format(name, SEEN), judged=False) for name in COSTS}
    formulas = (
        "-mean(y log h + (1 - y) log(1 - h))",
        say("the same, each logarithm at least -100"),
        say("the same, h kept between 1e-7 and 1 - 1e-7"),
        "mean(max(z, 0) - z y + log(1 + exp(-|z|)))",
    )
    rows = []
    for name, formula in zip(COSTS, formulas, strict=True):
        costs = costs_of(pairs[name])
        rows.append([name, formula, *(first_lost(costs[side]) for side in ("tf", "torch")), *(
            f"{costs[side][np.isfinite(costs[side])][-1]:.3g}" if np.isfinite(costs[side]).any() else "-"
            for side in ("tf", "torch"))])  # fmt: skip
    own = costs_of(pairs["naive"])
    lost = [np.flatnonzero(~np.isfinite(own[side])) for side in ("tf", "torch")]
    norm = pairs["naive"][0].flow()["gradient_norm"][0][0]
    seen = ""
    if all(map(len, lost)):
        seen = " " + say(
            "Here the cost is lost at step {keras} in Keras and at step {torch} in torch, in a network whose first "
            "layer's gradient is {norm} at the start.",
            keras=lost[0][0],
            torch=lost[1][0],
            norm=f"{norm:.2g}",
        )
    lead = (
        say(
            "A post on XOR tells of a cost that became NaN, and blames vanishing gradients. A gradient that vanishes "
            "is a small number, and a small number is no NaN."
        ),
        say(
            "An output that is exactly 1 in float32 is: its 1 - h is 0, the logarithm of 0 is minus infinity, and 0 "
            "times infinity is NaN. A sigmoid rounds to 1 as soon as its input is above 17."
        )
        + seen,
    )
    columns = [
        say("cost"),
        say("formula"),
        say("first cost that is no number, Keras"),
        "torch",
        say("last cost that is one, Keras"),
        "torch",
    ]
    said = Text(
        [
            say(
                "The same network, weights and batches four times; only the cost is written differently. In exact "
                "numbers all four are the same. From logits, nothing is lost; clamped and clipped costs stay finite, "
                "but their gradient is 0 where they were cut, so that an output that is confidently wrong is never put "
                "right."
            )
        ]
    )
    return Leaf(
        "the-nan.html",
        say("The NaN that was blamed on vanishing gradients"),
        say("Chapter {number}", number=4),
        lead,
        (
            Section(say("Four ways to write one cost"), (said, Table(columns, rows), drawn(pairs))),
            Section(say("Try it"), (Way("", f"python -m parity.run {SATURATED.format('naive', SEEN)}", "shell"),)),
        ),
        language=language(),
    )


def first_lost(costs: Values) -> str:
    """The first step whose cost is no finite number."""
    lost = np.flatnonzero(~np.isfinite(costs))
    return say("step {step}", step=lost[0]) if lost.size else say("never")


def drawn(pairs: dict[str, Pair]) -> Picture:
    """The costs of both sides in a panel for each way to write them."""

    def draw() -> tuple[Figure, Sequence[Hover]]:
        figure, made = panels(-(-len(pairs) // 2), 2, WIDTH / 2 - 1.1, 1.7, right=0.4)
        for axes, (name, pair) in zip(made.flat, pairs.items(), strict=True):
            for number, (side, values) in enumerate(costs_of(pair).items()):
                looks = {"color": COLOURS[number], "linestyle": DASHES[number], "gid": f"side-{number}"}
                axes.plot(*thinned(positive(values)), label={"tf": "Keras", "torch": "torch"}[side], **looks)
            ticked(axes, "step", f"cost, {name}", any(np.isfinite(positive(v)).any() for v in costs_of(pair).values()))
            axes.set_xlim(0, SEEN)
            legend(axes)
        return figure, ()

    return picture(say("The cost of every step;"), say("a curve ends where its cost is no number."), [("", draw)])
