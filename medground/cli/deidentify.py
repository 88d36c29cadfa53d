"""`medground deidentify`: cleans what lies at the source, searches it again, and says what was removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from medground.cli.progress import LINE_EVERY_S
from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.pseudonyms import load_key
from medground.dicom.deidentify.report import REPORT, Outcome, Report
from medground.dicom.deidentify.run import deidentify
from medground.schema.errors import UsageError

SOME_REFUSED = 4
_MOST_TAGS = 8


@dataclass(frozen=True, slots=True)
class DeidentifyOptions:
    """The command line of `medground deidentify`, parsed; see its help for the meaning of each."""

    source: Path
    out: Path
    profile: str = "basic"
    shift_dates: bool = False
    keep_patient_characteristics: bool = False
    keep_device: bool = False
    keep_uids: bool = False
    allow_burned_in: bool = False
    key_file: Path | None = None


def run_deidentify(given: DeidentifyOptions) -> int:
    """De-identify, and print what was done.

    Returns:
        Exit code: 0, or 4 where some files were refused.

    Raises:
        MedgroundError: nothing was published.
    """
    if given.profile != "basic":
        raise UsageError(f"--profile {given.profile!r} is not known; the one profile is basic")
    if given.key_file is not None and given.key_file.absolute().is_relative_to(given.out.absolute()):
        raise UsageError("--key-file lies inside --out, and whoever gets the output would get the key; name another")
    options = Options(
        shift_dates=given.shift_dates,
        keep_patient_characteristics=given.keep_patient_characteristics,
        keep_device=given.keep_device,
        keep_uids=given.keep_uids,
        allow_burned_in=given.allow_burned_in,
    )
    key = load_key(given.key_file)
    errors = Console(stderr=True)
    with _progress(errors) as progress:
        report = deidentify(
            given.source, given.out, options, key, key_kept=given.key_file is not None, progress=progress
        )
    _print(report, Console())
    for file in report.files:
        if file.outcome is Outcome.REFUSED:
            errors.print(f"refused: file {file.number}: {file.reason}", markup=False, highlight=False, soft_wrap=True)
    return SOME_REFUSED if report.count(Outcome.REFUSED) else 0


def _print(report: Report, console: Console) -> None:
    table = Table(title="What was changed", title_justify="left")
    table.add_column("action", no_wrap=True)
    table.add_column("elements", justify="right")
    table.add_column("tags", overflow="fold")
    for action, tags in sorted(report.changed().items()):
        ordered = sorted(tags, key=lambda tag: (-tags[tag], tag))
        more = f" and {len(ordered) - _MOST_TAGS} more" if len(ordered) > _MOST_TAGS else ""
        table.add_row(action, str(sum(tags.values())), " ".join(ordered[:_MOST_TAGS]) + more)
    console.print(table)
    scan = report.scan
    console.print(
        f"{report.count(Outcome.WRITTEN)} files written, {report.count(Outcome.REFUSED)} refused, "
        f"{report.count(Outcome.SKIPPED)} skipped; {scan.values} identifying values of {scan.patients} patients "
        f"searched in {scan.files} files, none left ({scan.too_short} too short and {scan.ordinary} too common to be "
        f"searched). Burned-in text is not searched for. See {REPORT}.",
        highlight=False,
        soft_wrap=True,
    )


@contextmanager
def _progress(
    console: Console, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[str, int, int], None]]:
    """Show how many files are cleaned, then searched: a bar on a terminal, elsewhere a line every few seconds."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("cleaned", total=None)
        last = clock()

        def report(step: str, done: int, total: int) -> None:
            nonlocal last
            bar.update(task, description=step, completed=done, total=total)
            if not console.is_terminal and clock() - last >= LINE_EVERY_S:
                last = clock()
                console.print(f"{step} {done} of {total} files", highlight=False)

        yield report
