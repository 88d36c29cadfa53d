"""`python -m pipelines real-input`: `medground ground` on real files, each in a process of its own.

Asks on every development DICOM file, on chest films (as they are, and wrapped as DX) and on limb radiographs, and
prints exit code, seconds and peak memory. A traceback, an unexpected exit code, more than 20 s or 2 GiB is a failure.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch

from medground.cli.ground import Options, run_ground
from medground.inference.reader import Reader
from medground.model.grounder import load_grounder
from medground.schema.errors import MedgroundError
from pipelines.films import wrap_film
from pipelines.sources import default_data, say

SECONDS, BYTES = 20.0, 2 * 2**30


@dataclass(frozen=True, slots=True)
class Case:
    """A file, a question, and the exit codes that are right for it."""

    path: Path
    question: str
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process came to; `text` is what it printed."""

    code: int
    seconds: float
    peak_bytes: int
    text: str

    @property
    def fault(self) -> str:
        """What broke the limits, empty if nothing did."""
        if "Traceback" in self.text:
            return "traceback"
        if self.seconds > SECONDS:
            return f"took {self.seconds:.0f} s"
        return f"took {self.peak_bytes / 2**30:.1f} GiB" if self.peak_bytes > BYTES else ""


def run_one(case: Case, reader: Reader, out: Path) -> Outcome:
    """Runs the command in a forked process, so that a crash or a leak is that file's alone."""
    log = out / "log.txt"
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        torch.set_num_threads(1)  # threads do not survive a fork, and waiting for them never ends
        with log.open("w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
            try:
                code = run_ground(Options((case.path,), (case.question,), out / "result"), lambda *_: reader)
            except MedgroundError as error:
                print(f"error: {error}")
                code = error.exit_code
            except Exception:
                import traceback

                traceback.print_exc(file=file)
        os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return Outcome(
        os.waitstatus_to_exitcode(status),
        time.monotonic() - start,
        usage.ru_maxrss * 1024,
        log.read_text(encoding="utf-8"),
    )


def dicom_cases(data: Path, expected: Path) -> list[Case]:
    """Every development DICOM file: 0 where its expected outcome is an image, 2 where it is an error."""
    with expected.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Case(data / "dicom" / row["file"], "is there a nodule?", (2,) if row["outcome"].endswith("Error") else (0,))
        for row in rows
    ]


def film_cases(data: Path, folder: Path, count: int) -> list[Case]:
    """Chest films as they are and wrapped, limb radiographs as they are."""
    chest = sorted((data / "cxr" / "images").glob("*.jpg"))[:count]
    limb = sorted((data / "fracatlas" / "images").glob("*.jpg"))[:count]
    cases = [Case(path, "is there a pleural effusion?", (0,)) for path in chest]
    cases += [Case(wrap_film(path, folder, body_part="CHEST"), "左肺有结节吗", (0,)) for path in chest]
    return cases + [Case(path, "fracture", (0,)) for path in limb]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines real-input", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the development data")
    parse.add_argument(
        "--expected",
        type=Path,
        default=Path("tests/dicom/expected_outcomes.csv"),
        help="what is expected of each DICOM file",
    )
    parse.add_argument("--films", type=int, default=20, help="so many films of each kind (default: 20)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`. Exit code 1 if a file broke a rule."""
    args = parser().parse_args(argv)
    reader = load_grounder(args.bundle)
    codes: Counter[int] = Counter()
    faults = 0
    longest, largest = 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = dicom_cases(args.data, args.expected) + film_cases(args.data, folder, args.films)
        for number, case in enumerate(cases, 1):
            outcome = run_one(case, reader, folder)
            codes[outcome.code] += 1
            longest, largest = max(longest, outcome.seconds), max(largest, outcome.peak_bytes)
            fault = outcome.fault or ("" if outcome.code in case.codes else f"exit code {outcome.code}")
            if fault:
                faults += 1
                print(f"fault: {case.path.name}: {fault}\n{outcome.text}")
            if number % 20 == 0:
                say(f"{number} of {len(cases)} files")
    shares = ", ".join(f"exit {code}: {count}" for code, count in sorted(codes.items()))
    print(f"{sum(codes.values())} files; {shares}; longest {longest:.1f} s, largest {largest / 2**30:.2f} GiB")
    print(f"{faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
