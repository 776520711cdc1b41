"""A user's pair, from two files to a report: opened, paired, given the same weights, run, judged."""

import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from parity.errors import IncomparableError, UsageError
from parity.models.described import Side as Framework
from parity.page import PAGE
from parity.pairing.given import from_toml, to_toml
from parity.pairing.messages import quoted
from parity.pairing.pairs import Pairing
from parity.pairing.proof import Proof, proven
from parity.pairing.rules import pair
from parity.pairing.transfer import moved
from parity.pairing.tying import with_flattening
from parity.ports import batch, recording, saving
from parity.ports.arrays import Arrays, load_arrays, save_arrays
from parity.ports.assignments import assignments, can_be_tried
from parity.ports.batch import Batch
from parity.ports.findings import Finding
from parity.ports.generic import generic
from parity.ports.job import ForceJob, InputsJob, OpenJob, PortJob, RecordJob
from parity.ports.judge import Judge, Side
from parity.ports.levels import DOUBT, alone, doubted, judge_of, judged, to_force, with_every_stage
from parity.ports.recording import Opened
from parity.ports.report import Report
from parity.ports.saving import Saving
from parity.ports.sides import unloaded
from parity.ports.why import causes
from parity.recordings.files import write_whole
from parity.workers.installed import missing_of_page
from parity.workers.pairs import at_once, raise_together
from parity.workers.processes import Doer, silent

Weights = Literal["port", "keras", "torch", "as-is"]
SAMPLES = 16
# Steps of the optimizer, and runs that are a rounding away, on each side.
STEPS, RERUNS = 5, 2
INPUTS, START, MAP = "inputs", "start.arrays", "map.toml"
FORCED, ALONE = "forced.arrays", "alone.arrays"
Workers = Mapping[Literal["tf", "torch"], Doer]
KINDS: dict[Framework, Literal["tf", "torch"]] = {"keras": "tf", "torch": "torch"}


@dataclass(frozen=True)
class Request:
    """What is asked for. A side is a file, "module:function", or the folder of a recording.

    `weights` says where they come from: torch's port(), either side by the tool's own transforms, or each its own.
    """

    keras: str
    torch: str
    data: str | None = None
    inputs: Path | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    samples: int = SAMPLES
    weights: Weights | None = None
    map: Path | None = None
    steps: int | None = None
    strict: bool = False
    save_weights: Path | None = None
    # A batch that is there already, and what is to be said of the request.
    given: Batch | None = None
    notes: tuple[str, ...] = ()

    def source(self, side: Framework) -> str:
        """One of the two sides."""
        return self.keras if side == "keras" else self.torch

    def command(self) -> str:
        """What asks for the same on the command line."""
        options = {
            "data": self.data,
            "inputs": self.inputs,
            "weights": self.weights,
            "map": self.map,
            "steps": self.steps,
        }
        words = [self.keras, self.torch]
        words += [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
        for name, sizes in self.shapes.items():
            words += ["--shape", f"{name}={','.join(map(str, sizes))}"]
        words += ["--samples", str(self.samples)] if self.samples != SAMPLES else []
        return shlex.join(["python", "-m", "parity.check", *words, *["--strict"] * self.strict])

    def recorded(self) -> list[Framework]:
        """The sides that are recordings."""
        return [side for side in KINDS if Path(self.source(side)).is_dir()]


class Measured(NamedTuple):
    """What a request's two models made, what is known of their weights, and what came of each comparison."""

    judge: Judge
    proofs: list[Proof]
    findings: list[Finding]


@dataclass
class Check:
    """A request while it is carried out by live workers; everything is written below `out`."""

    request: Request
    workers: Workers
    out: Path
    opened: dict[Framework, Opened] = field(default_factory=dict)
    built: dict[Framework, Arrays] = field(default_factory=dict)
    start: dict[Framework, Arrays] = field(default_factory=dict)
    frozen: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Lines of a map that are added to the user's.
    assigned: str = ""

    def live(self) -> list[Framework]:
        """The sides that are run here."""
        return [side for side in KINDS if side not in self.request.recorded()]

    def run(self) -> Report:
        """All of it."""
        measured = self.measured()
        return self.whole(self.verdict(measured), measured)

    def measured(self) -> Measured:
        """Run both models, each from its weights, and hold what they made against each other."""
        steps = self.prepare()
        pairing = self.paired()
        write_whole(self.out / MAP, to_toml(pairing).encode())
        self.fill(pairing)
        if self.weights() == "port":
            # A port may have reordered the rows behind a flattened map, as it should where torch flattens otherwise.
            pairing = with_flattening(pairing, self.start["keras"], self.start["torch"])
        untouched = self.untouched()
        # Of a large model this is memory that running it needs.
        self.built.clear()
        self.record(steps)
        sides = {side: self.side(side) for side in KINDS}
        proofs = proven(pairing, self.start["keras"], self.start["torch"])
        judge = judge_of(sides["keras"], sides["torch"], pairing)
        findings = [unloaded(finding, untouched, self.start["torch"]) for finding in judged(judge, proofs)]
        return Measured(judge, proofs, findings)

    def verdict(self, measured: Measured, is_settled: bool = False) -> Report:
        """What follows from that; `is_settled` where every way to pair layers that nothing tells apart was tried."""
        judge, _, found = measured
        findings = [*doubted(found, judge, is_settled), *self.uncovered(judge.pairing, found)]
        report = Report(judge.keras, judge.torch, judge.pairing, tuple(findings), tuple(self.notes), self.out)
        return replace(report, strict=self.request.strict, always=self.request.notes)

    def whole(self, report: Report, measured: Measured) -> Report:
        """The report with what each stage does alone, the causes and the saved weights, written below `out`."""
        judge, proofs, _ = measured
        failed = [finding for finding in report.findings if finding.result == "failed"]
        if any(finding.level == "forward" for finding in failed):
            report = replace(report, alone=tuple(self.alone(with_every_stage(judge, report.findings))))
        if len(self.live()) == len(KINDS):
            starts = {side: self.out / side / START for side in KINDS}
            given = list(report.findings)
            found, excluded = causes(judge, self.workers, self.out, starts, tuple(self.frozen), given, report.alone)
            report = replace(report, causes=tuple(found), excluded=tuple(excluded))
        elif failed:
            report = replace(report, excluded=("a recording cannot be replayed: give both sides live",))
        if self.request.save_weights is not None:
            asked = Saving(self.request.save_weights, self.weights() == "port", self.out, self.workers)
            report = replace(report, saved=asked.saved(report, proofs))
        lacking = missing_of_page()
        if lacking:
            report = replace(report, notes=(f"no {PAGE} is written: pip install {' '.join(lacking)}", *report.notes))
        report.write()
        if not lacking:
            report.html(self.out / PAGE, self.request.command())
        return report

    def prepare(self) -> int:
        """Draw the batch and open both models; the steps that are asked for."""
        folder = self.out / INPUTS
        recorded = self.request.recorded()
        if len(recorded) == 2:
            raise UsageError("both sides are recordings: give at least one file")
        if recorded:
            self.adopt(recorded[0], folder)
        elif self.request.given is not None:
            batch.save(folder, self.request.given)
        else:
            asked = self.request
            job = InputsJob(folder, asked.data, asked.inputs, dict(asked.shapes), asked.samples)
            self.workers["tf"].run(job, silent, "drawing inputs took")
        jobs = {side: OpenJob(self.request.source(side), folder, self.out / side) for side in self.live()}
        raise_together(at_once(partial(self.workers[KINDS[s]].run, job, silent, "it took") for s, job in jobs.items()))
        for side in self.live():
            self.opened[side], self.built[side] = recording.load_opened(self.out / side)
        said = batch.load(folder).steps
        if recorded:
            return recording.load_recorded(self.out / recorded[0])[0].steps
        if not all("optimizer" in self.opened[side].functions for side in KINDS):
            return 0
        return next(n for n in (self.request.steps, said, STEPS) if n is not None)

    def adopt(self, side: Framework, folder: Path) -> None:
        """Take a recording for a side, with its batch and its weights."""
        source = Path(self.request.source(side))
        try:
            shutil.copytree(source, self.out / side)
            shutil.move(self.out / side / INPUTS, folder)
        except OSError as error:
            raise IncomparableError(f"{source} is no recording of --record-side: {error}") from error
        self.opened[side], self.built[side] = recording.load_opened(self.out / side)
        if self.opened[side].model.framework != side:
            raise UsageError(f"{source} is a recording of torch's side: give Keras's side first, torch's second")
        self.start[side] = load_arrays(self.out / side / START)

    def paired(self) -> Pairing:
        """Which layer is which."""
        text = ""
        if self.request.map is not None:
            try:
                text = self.request.map.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{self.request.map} cannot be read: {error}") from error
        given = from_toml(self.assigned + text, str(self.request.map))
        models = self.opened["keras"], self.opened["torch"]
        made = [
            {call.name: call.reads for call in opened.calls if call.layer is None or call.number} for opened in models
        ]
        values = [self.built[side] if self.weights() == "as-is" else None for side in KINDS]
        return pair(models[0].model, models[1].model, values[0], values[1], given, (made[0], made[1]))

    def weights(self) -> Weights:
        """Where the weights come from."""
        asked, recorded = self.request.weights, self.request.recorded()
        if self.request.save_weights is not None and saving.target(self.request.save_weights) == "keras":
            asked = "torch"
        has_port = "port" in self.opened["torch"].functions and "torch" not in recorded
        if asked == "port" and not has_port:
            raise UsageError(f"{self.request.torch} has no port(module, weights)")
        if recorded == ["torch"]:
            return "torch"
        return asked or ("port" if has_port else "keras")

    def fill(self, pairing: Pairing) -> None:
        """Decide the weights of both sides."""
        chosen = self.weights()
        owner: Framework = "torch" if chosen == "torch" else "keras"
        other: Framework = "keras" if owner == "torch" else "torch"
        views = [v.name for p in pairing.pairs for link in p.links for v in (*link.keras, *link.torch)]
        if chosen == "as-is":
            self.start |= {side: generic(self.built[side], ())[0] for side in KINDS}
            return
        if owner not in self.start:
            self.start[owner], changed = generic(self.built[owner], views)
            if changed:
                count = "1 weight that is" if len(changed) == 1 else f"{len(changed)} weights that are"
                self.notes.append(
                    f"{count} 0 or 1 when built {'was' if len(changed) == 1 else 'were'} moved, to tell them apart"
                )
        if owner == "torch":
            # What torch has as a sum is added up, and must not be rounded to float32 for it.
            self.start[owner] = {n: w.astype("f8") if w.dtype.kind == "f" else w for n, w in self.start[owner].items()}
        save_arrays(self.out / owner / START, self.start[owner])
        if chosen == "port":
            target = self.out / other / START
            self.workers["torch"].run(PortJob(self.out / owner / START, target), silent, "port() took")
            self.start[other] = load_arrays(target)
            return
        found = moved(pairing, self.start[owner], owner)
        self.start[other] = {**generic(self.built[other], ())[0], **found.values}
        # What the models differ in comes before what was done to them.
        self.notes[:0] = [*found.notes, *found.lost]
        for link in (link for p in pairing.pairs for link in p.links if len(link.torch) > 1):
            self.frozen += [view.name for view in link.torch[1:]]
        if self.frozen:
            names = ", ".join(self.frozen)
            self.notes.append(f"{names} held fixed, Keras has one bias there: do so in yours, requires_grad_(False)")

    def untouched(self) -> set[str]:
        """The weights that the user's port() left as they were built."""
        if self.weights() != "port":
            return set()
        built, start = self.built["torch"], self.start["torch"]
        found = {name for name in start if np.array_equal(built[name], start[name])}
        if found >= {name for name, weight in self.opened["torch"].model.weights().items() if weight.trainable}:
            self.notes.append("port() changes no weight of torch's model: does it fill this one, or a copy?")
        return found

    def record(self, steps: int) -> None:
        """Run both models."""
        jobs = []
        shapes = self.opened["keras"].outputs
        for side in self.live():
            save_arrays(self.out / side / START, self.start[side])
            frozen = tuple(self.frozen) if side == "torch" else ()
            job = RecordJob(self.out / side / START, self.out / side, steps, RERUNS, frozen, shapes)
            jobs.append(partial(self.workers[KINDS[side]].run, job, silent, "recording took"))
        raise_together(at_once(jobs))

    def alone(self, judge: Judge) -> list[Finding]:
        """Each stage of the forward pass by itself, on the other side's tensors."""
        side: Framework = "torch" if "torch" in self.live() else "keras"
        forced, made = self.out / side / FORCED, self.out / side / ALONE
        save_arrays(forced, to_force(judge, side))
        job = ForceJob(self.out / side / START, forced, made)
        self.workers[KINDS[side]].run(job, silent, "judging stages alone took")
        return list(alone(judge, side, load_arrays(made)))

    def side(self, side: Framework) -> Side:
        """A side as it was recorded."""
        recorded, arrays = recording.load_recorded(self.out / side)
        return Side(self.opened[side], recorded, arrays, self.start[side])

    def uncovered(self, pairing: Pairing, findings: Sequence[Finding]) -> list[Finding]:
        """The layers with weights that have no partner: what they do is in no pair's proof.

        Those that have two sizes are what differs first, where results do.
        """
        found = []
        if any(finding.level == "forward" and finding.result == "failed" for finding in findings):
            for keras, torch, said in pairing.two_sizes:
                places = placed(pairing, "keras", keras), placed(pairing, "torch", torch)
                found.append(Finding("weights", f"{keras} ~ {torch}", "failed", f"of two sizes: {said}", *places))
        named = {path for keras, torch, _ in pairing.two_sizes for path in (keras, torch)} if found else set()
        for side in KINDS:
            model = pairing.model(side)
            for path in pairing.unpaired[side]:
                if path in named:
                    continue
                layer = model.layer(path.partition(":")[0])
                used = bool(layer.writes)
                reason = f"{'' if used else 'never called, and '}has no partner: name it in a map, or ignore it there"
                found.append(Finding("weights", f"{side}'s {path}", "not_judged", reason, needed=used))
        return found


def placed(pairing: Pairing, side: Framework, path: str) -> str:
    """A layer, and the line of the user's code that made it."""
    source = pairing.model(side).layer(path.partition(":")[0]).source
    return f"{path}  {source}" if source else path


def checked(request: Request, workers: Workers, out: Path) -> Report:
    """Carry out a request with live workers, below the folder `out`.

    Layers that nothing tells apart are paired in every way, until one makes both models agree.
    """
    check = Check(request, workers, out)
    measured = check.measured()
    report = check.verdict(measured)
    moves = len(check.live()) == len(KINDS) and check.weights() in KINDS
    if report or not moves or not can_be_tried(report.pairing):
        return check.whole(report, measured)
    for number, assigned in enumerate(assignments(report.pairing), 1):
        with tempfile.TemporaryDirectory() as folder:
            trial = Check(request, workers, Path(folder), assigned=assigned)
            agrees = bool(trial.verdict(trial.measured()))
        if agrees:
            names = quoted([name for ours, _ in report.pairing.undecided for name in ours])
            note = f"which partners {names} have was found by trying: with these, way {number}, every number agrees"
            return Check(request, workers, out, assigned=assigned, notes=[note]).run()
    if any(finding.reason == DOUBT for finding in report.findings) and not report.pairing.ambiguous:
        check.notes.insert(0, "no way to pair layers that nothing tells apart makes both models agree")
        report = check.verdict(measured, is_settled=True)
    return check.whole(report, measured)


def record_side(
    source: str, side: Framework, asked: Request, workers: Mapping[Literal["tf", "torch"], Doer], out: Path
) -> None:
    """Record one side alone, to be held against the other's elsewhere."""
    worker = workers[KINDS[side]]
    worker.run(InputsJob(out / INPUTS, asked.data, asked.inputs, dict(asked.shapes), asked.samples), silent)
    worker.run(OpenJob(source, out / INPUTS, out), silent)
    _, built = recording.load_opened(out)
    save_arrays(out / START, generic(built, built)[0])
    said = batch.load(out / INPUTS).steps
    steps = next(n for n in (asked.steps, said, STEPS) if n is not None)
    worker.run(RecordJob(out / START, out, steps, RERUNS), silent)
