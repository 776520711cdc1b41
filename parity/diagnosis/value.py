"""What a diagnosis is: why two recordings do not agree, as a value."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from parity.differences import Difference
from parity.experiment.optimizers import KERAS_EPSILON, Optimizer
from parity.experiment.spec import FRAMEWORKS, Framework
from parity.recordings.recording import Recording


@dataclass(frozen=True)
class Cause:
    """One thing in which the sides really differ, as a sentence.

    Where it is a choice: its field of `Realisation`, the value that each side, by its label, acts by, the id and the
    title of the difference (parity/differences), and for each side what makes it do as the other one does: the
    `--choice` of parity.run, where that is carried out, and the lines to write in a program of one's own.
    """

    says: str
    field: str | None = None
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    difference: str | None = None
    title: str | None = None
    choices: Mapping[Framework, str] = dataclasses.field(default_factory=dict)
    scripts: Mapping[Framework, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Residual:
    """The largest deviation in float64 that the causes leave in the stages that failed, and where.

    `measured` is in the tensor's own unit, `share` what it is of the stage's bound.
    """

    measured: float
    share: float
    where: str


@dataclass(frozen=True)
class Finding:
    """One thing that failed, and why: the smallest set of causes that explains it, and what those leave.

    Where no cause is known, `described` says what the numbers say, and `beside` what is right next to them.
    `explained` says whether causes or descriptions leave nothing of this finding; `excluded` names what was tried and
    does not explain the rest, `sought` whether anything was, and `note` says what else is to be said.
    """

    failed: str
    causes: tuple[Cause, ...] = ()
    explained: bool = False
    residual: Residual | None = None
    excluded: tuple[str, ...] = ()
    note: str | None = None
    sought: bool = True
    described: tuple[str, ...] = ()
    beside: str | None = None

    def lines(self) -> list[str]:
        """The finding as text, a few lines; the first is its head."""
        count = len(self.causes)
        found = "no known cause" if self.sought else "no cause was sought"
        if count:
            found = f"{count} cause{'s' * (count > 1)}{', together' * (count > 1)}"
        elif self.described:
            found = "no known choice" if self.sought else "what the numbers say"
        lines = [f"{self.failed}: {found}"]
        for cause in self.causes:
            lines.append(f"  {cause.says}")
            if cause.difference is not None:
                lines.append(f"    {cause.title} (python -m parity.explain {cause.difference})")
        lines += [f"  {said}" for said in self.described]
        ways = [" ".join(f"--choice {side}:{c.choices[side]}" for c in self.causes) for side in self.aligning]
        if ways:
            lines.append(f"  to align: {' or '.join(ways)}")
        if self.residual is not None:
            lines.append(
                f"  residual {self.residual.measured:.1g}, {self.residual.share:.0%} of what rounding explains"
            )
        return lines + [f"  {said}" for said in (self.beside, self.note) if said]

    @property
    def aligning(self) -> list[Framework]:
        """The sides on which the choices of all causes can be made as the other side's."""
        return [side for side in FRAMEWORKS if self.causes and all(side in cause.choices for cause in self.causes)]


@dataclass(frozen=True)
class Diagnosis:
    """Why two recordings do not agree: one finding for each thing that is off, the first one first.

    `explained` says whether nothing is left beside them: whether the recordings agree once all causes are aligned.
    `note` says what stands in the way of that.
    """

    findings: tuple[Finding, ...]
    explained: bool = False
    note: str | None = None

    @property
    def first(self) -> Finding:
        """What failed first."""
        return self.findings[0]

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes of all findings."""
        return tuple(cause for finding in self.findings for cause in finding.causes)

    def lines(self) -> list[str]:
        """The diagnosis as text, a few lines for each finding."""
        lines = []
        for number, finding in enumerate(self.findings, start=1):
            start = f"diagnosis, {number} of {len(self.findings)}" if len(self.findings) > 1 else "diagnosis"
            head, *rest = finding.lines()
            lines += [f"{start}: {head}", *rest]
        return lines + ([f"  {self.note}"] if self.note else [])


def chosen(field: str, entry: Difference, one: tuple[Recording, str], other: tuple[Recording, str]) -> Cause:
    """A choice that each of two sides makes by the value given with it, whatever its settings say."""
    said: list[str] = []
    choices: dict[Framework, str] = {}
    for (side, acts), (_, others) in ((one, other), (other, one)):
        stated = getattr(side.manifest.realisation, field)
        if stated == acts:
            said.append(f"{side.label} {acts}")
            if one[0].manifest.framework != other[0].manifest.framework:
                choices[side.manifest.framework] = f"{field}={others}"
        else:
            # What is not carried out cannot be made otherwise by asking for it.
            said.append(f"{side.label} does as if {acts}, though its settings say {stated}")
    scripts: dict[Framework, str] = {"tf": entry.keras.align, "torch": entry.torch.align}
    if field == "epsilon_value":
        scripts = epsilons(one[0].manifest.identity.optimizer)
    values = {side.label: acts for side, acts in (one, other)}
    return Cause(f"{field}: {', '.join(said)}", field, values, entry.id, entry.title, choices, scripts)


# What both frameworks call the optimizers whose epsilon has a default.
CLASSES = {
    "adam": ("Adam", "Adam"), "adamw": ("AdamW", "AdamW"), "adamax": ("Adamax", "Adamax"), "nadam": ("Nadam", "NAdam"),
    "adagrad": ("Adagrad", "Adagrad"), "adadelta": ("Adadelta", "Adadelta"), "rmsprop": ("RMSprop", "RMSprop"),
}  # fmt: skip


def epsilons(optimizer: Optimizer) -> dict[Framework, str]:
    """How either framework's optimizer is given the other one's epsilon, which the entry shows for one kind alone."""
    keras, torch = CLASSES[optimizer.kind]
    rate, given = optimizer.learning_rate, getattr(optimizer, "epsilon", KERAS_EPSILON)
    return {
        "tf": f"optimizer = keras.optimizers.{keras}({rate:g}, epsilon={given:g})",
        "torch": f"optimizer = torch.optim.{torch}(model.parameters(), {rate:g}, eps={KERAS_EPSILON:g})",
    }
