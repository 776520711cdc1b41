"""The result of a comparison: a value that says what was found, prints itself, and writes itself to files."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.text import Text

from parity.diagnosis.value import Cause, Diagnosis
from parity.recordings.files import write_whole
from parity.recordings.recording import Recording
from parity.report import console, html
from parity.report.levels import rows
from parity.verdict import Check, Verdict
from parity.verdict.checks import EXIT_STATUS, VerdictName
from parity.verdict.judged import levels

VERDICT_FORMAT = 3
# What a run calls its page.
# As a row of a table.
Row = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Report:
    """The findings on two recordings, or on one with its own replays. It is true if the verdict is parity.

    `recordings` are those that were judged, `judged` is the verdict with every check it rests on, and `diagnosis` says
    why they differ, where that was sought. `folder` is where a run wrote it all. Printed, it is what the commands
    print; a notebook shows it as HTML.
    """

    recordings: tuple[Recording, ...]
    judged: Verdict
    diagnosis: Diagnosis | None = None
    folder: Path | None = None

    def __bool__(self) -> bool:
        return self.verdict == "parity"

    @property
    def verdict(self) -> VerdictName:
        """ "parity", "mismatch", "incomparable" or "insufficient"."""
        return self.judged.verdict

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every question that was asked, with its answer."""
        return self.judged.checks

    @property
    def first_divergence(self) -> Check | None:
        """The first check that failed: its `place`, how far off (`measured`, `bound`) and the `reason` in words."""
        return next((check for check in self.checks if check.result == "failed"), None)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The known choices that explain it all together, as far as they were found."""
        return () if self.diagnosis is None else self.diagnosis.causes

    @property
    def status(self) -> int:
        """The exit status of a command that ends with this verdict."""
        return EXIT_STATUS[self.verdict]

    def __repr__(self) -> str:
        labels = " and ".join(side.label for side in self.recordings)
        return f"<Report: {self.verdict}, {labels}, {self.recordings[0].manifest.experiment}>"

    def __str__(self) -> str:
        lines = console.page(self.recordings, self.judged, self.diagnosis, None)
        return "\n".join(line.text.rstrip() for line in lines)

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = options.max_width
        yield from console.texts(console.page(self.recordings, self.judged, self.diagnosis, width), width)

    def _repr_html_(self) -> str:
        return html.page(self.recordings, self.judged, self.diagnosis)

    def sides_table(self) -> list[Row]:
        """A row for each recording: its versions, device, seconds of training, last epoch's cost, and accuracy."""
        return [console.ended(side)._asdict() for side in self.recordings]

    def levels_table(self) -> list[Row]:
        """A row for each level that was reached: its result, and what it rests on in a few words."""
        return [{"level": level, "result": result, "summary": said} for level, result, said in rows(self.judged)]

    def checks_table(self) -> list[Row]:
        """A row for each check."""
        return [asdict(check) for check in self.checks]

    def causes_table(self) -> list[Row]:
        """A row for each cause."""
        return [asdict(cause) for cause in self.causes]

    def json(self) -> str:
        """All of it as JSON, the content of verdict.json: an output, never read back."""
        content: Row = {"format": VERDICT_FORMAT, "experiment": self.recordings[0].manifest.experiment}
        content["data"] = {side.label: side.data_source for side in self.recordings}
        content |= asdict(self.judged)
        content["judged"], content["not_judged"] = levels(self.recordings, self.judged)
        content["diagnosis"] = None if self.diagnosis is None else asdict(self.diagnosis)
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def write(self, folder: str | Path) -> None:
        """Write verdict.json into a folder; raises UsageError where that is not possible."""
        write_whole(Path(folder) / "verdict.json", self.json().encode())

    def draw(self, folder: str | Path) -> None:
        """Write the pictures into a folder: costs.png and its like, of two recordings of the same length."""
        if len(self.recordings) != 2 or self.recordings[0].lengths != self.recordings[1].lengths:
            return
        # Imported late: it costs as much as everything else here together.
        from parity.report.figures import draw

        draw(*self.recordings, Path(folder))

    def html(self, file: str | Path, command: str | None = None, folders: Sequence[Path] = ()) -> None:
        """Write all of it as one page that needs nothing else: what it says first, pictures, every check, settings.

        `command` is what repeats it, and `folders` are where digits may lie that are not the package's own. Raises
        UsageError where the file cannot be written.
        """
        # Imported late: it takes libraries of an extra, and as long as everything else here together.
        from parity.page.render import html
        from parity.report.page import page

        made = page(self.recordings, self.judged, self.diagnosis, command, folders)
        write_whole(Path(file), html(made).encode())

    def tensorboard(self, folder: str | Path) -> None:
        """Write both sides' scalars and histograms for TensorBoard, under the same tags, each side a run of its own.

        Gradients and activations are among them where the recordings still have their evidence.
        """
        # Imported late: it is of an extra.
        from parity.report import tensorboard

        tensorboard.write(self.recordings, Path(folder))

    def junit(self, file: str | Path) -> None:
        """Write the checks as JUnit XML, one test case each."""
        # Imported late: it is of an extra.
        from parity.report.junit import xml

        write_whole(Path(file), xml(self.recordings[0].manifest.experiment, self.judged))
