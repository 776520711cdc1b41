"""The first two chapters: why two honest runs part, and why one step tells what a whole run does not."""

import numpy as np

from parity.book.lab import Lab, Pair, costs_of, relative
from parity.book.language import language, say
from parity.page.model import Beside, Column, Leaf, Part, Section, Table, Text, Way
from parity.report import pictures
from parity.report.page import stages
from parity.report.sentence import sentence
from parity.verdict import judge, noise, trajectory

HONEST, TWINS = "mnist_relu", 3
# One known difference, on Keras's side as it ships.
STOCK = "mnist_relu --choice tf:adam_epsilon=before_correction"
MOMENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def part(lab: Lab) -> Leaf:
    """Two frameworks, one network, the same weights and batches: and yet two curves."""
    a, b = pair = lab.pair(HONEST, TWINS)
    apart = relative(costs_of(pair))
    steps = len(apart)
    end = trajectory.horizon(a, b, noise.finite_steps(a, b)) if noise.missing(a, b) is None else steps
    least = next((step for step in range(steps) if apart[step] > 0), 0)
    grown = apart[least:end].max() / apart[least] if apart[least] else 1.0
    doublings = float(np.log2(grown)) if grown > 1 else 0.0
    every = say("doubled every {count} steps or so", count=f"{(end - least) / doublings:.0f}")
    every = every if doublings >= 1 else say("hardly grown")
    lead = (
        say(
            "Keras and torch train one network with ReLUs on handwritten digits: {steps} steps, from the same weights, "
            "on the same batches. Nothing is different but the order in which numbers are added up.",
            steps=steps,
        ),
        say(
            "And yet their costs part: in the end by {apart} of the cost. Is one of them wrong?",
            apart=f"{apart[-1]:.1e}",
        ),
    )
    table = Table(
        [say("after step"), say("the costs are apart by, in parts of the cost")],
        [[str(step), f"{apart[step]:.1e}"] for step in MOMENTS if step < steps],
    )
    rounding = Text(
        [
            say(
                "A float32 keeps 24 binary digits, some seven decimal ones. Add a thousand numbers in two orders, and "
                "the last digit of the sum differs. That is all that differs at first:"
            )
        ]
    )
    growth = Text(
        [
            say(
                "From step {first} to step {last} the difference has {grown}. A step of training makes of two weights "
                "that are close two that are a little less close, as a ReLU opens on one side and not on the other. "
                "What grows by a factor in every step is called chaos: no accuracy of the machine helps for long, for "
                "ten digits more last only a few times as long.",
                first=least,
                last=end,
                grown=every,
            )
        ]
    )
    twins = Text(
        [
            say(
                "How does one know that rounding does this, and no mistake? Each framework was run {count} times more, "
                "from weights that were moved by one unit in the last place. These reruns, twins, part from their own "
                "framework's run as fast as the frameworks part from each other: the thin lines of the picture.",
                count=TWINS,
            ),
            say(
                "From step {last} on, the horizon, the difference is as large as it can get by noise. What two curves "
                "do there says nothing about the programs that made them. Before it, a difference above the dashed "
                "line would.",
                last=end,
            ),
        ]
    )
    return Leaf(
        "why-honest-runs-part.html",
        say("Why two honest runs part"),
        say("Chapter {number}", number=1),
        lead,
        (
            Section(say("What is seen"), (pictures.costs(a, b),)),
            Section(say("Where it begins"), (rounding, table, growth)),
            Section(say("Twins, and the horizon"), (twins,)),
            Section(say("Try it"), (Way("", f"python -m parity.run {HONEST} --verdict full", "shell"),)),
        ),
        (a.label, b.label),
        language=language(),
    )


def tells(lab: Lab) -> Leaf:
    """A run with a mistake in it, held against an honest one: by their ends, and by single steps."""
    honest, stock = lab.pair(HONEST, TWINS), lab.pair(STOCK)
    ends = [relative(costs_of(pair)) for pair in (honest, stock)]
    lead = (
        say(
            "Now one thing is really different: Keras's Adam, as it ships, adds its epsilon before the correction of "
            "the bias, torch's after it. Everything else is as before."
        ),
        say(
            "At the end of training the costs are {stock} apart; those of the honest pair are {honest} apart. Who "
            "looks at the ends of two curves cannot tell which pair is honest.",
            stock=f"{ends[1][-1]:.1e}",
            honest=f"{ends[0][-1]:.1e}",
        ),
    )
    said = Text(
        [
            say(
                "So a whole run is not what to compare. Take the weights of one side before a step, give them to both, "
                "and let each do this one step: the forward pass layer by layer, the cost, the gradients, the update. "
                "Nothing had time to grow. And of one step it is known how much rounding there can be: every sum of n "
                "numbers is off by no more than a bound that follows from n and from their sizes."
            ),
            say(
                "The bars show how much of that bound each stage uses. Of the honest pair none reaches the line. Of "
                "the other one, all do well but one, and it is the one in which the mistake is:"
            ),
        ]
    )
    columns = tuple(Column(name, (*self_said(pair), *bars(pair))) for name, pair in (
        (say("The honest pair"), honest), (say("Keras's own Adam"), stock)))  # fmt: skip
    return Leaf(
        "why-one-step-tells.html",
        say("Why one step tells"),
        say("Chapter {number}", number=2),
        lead,
        (
            Section(say("The ends of two curves"), (pictures.costs(*stock),)),
            Section(say("One step, stage by stage"), (said, Beside(columns))),
            Section(say("Try it"), (Way("", f"python -m parity.run {STOCK}", "shell"),)),
        ),
        tuple(side.label for side in stock),
        language=language(),
    )


def self_said(pair: Pair) -> tuple[Part, ...]:
    """The verdict in one sentence, as the command prints it."""
    return (Text([f"{judge(*pair).verdict}: {sentence(pair, judge(*pair), None)}"]),)


def bars(pair: Pair) -> tuple[Part, ...]:
    """The stages, with how much of their bounds they use."""
    found = stages(pair, judge(*pair))
    return (found,) if found is not None else ()
