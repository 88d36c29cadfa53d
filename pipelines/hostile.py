"""Reads mutations of twenty good DICOM files through worker processes, and watches what becomes of the reader.

::

    python -m pipelines hostile --mutations 100000 --seed 0 --workers 2 --resume hostile.json
    python -m pipelines hostile --seed 0 --only 4711     # one of them again

The parent must not die, hang, grow or raise anything but the errors of medground; each dead worker must be counted and
replaced; and the twenty files themselves must still be read, pixel for pixel, at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.dicom.untrusted import UntrustedReader
from medground.schema.errors import MedgroundError
from pipelines.hostile_bases import Base, base_files
from pipelines.hostile_mutations import Mutation, Mutations

CHUNK = 500
_QUESTIONS, _SLACK_SECONDS = 6, 5.0  # a file that all its questions together keep longer than this hangs
_SLOW_SECONDS, _MAX_PARENT_MIB = 1.0, 512
_ANSWER_BYTES = 2**27
_FOREIGN = "foreign in the parent"
_SHOWN = 200


@dataclass
class Tally:
    """What became of the files so far.

    Attributes:
        done: files read.
        seconds: of wall time.
        latencies_ms: of each file, all its questions together.
        outcomes: files by "accepted", or by the class of the error.
        counters: of the reader: see `Counters`.
        lost: number, base, mutators and message of files that ended with a WorkerError.
        slow: number, base, mutators and milliseconds of files that took longer than a second.
        failures: what must not happen.
        peak_mib: resident memory of the parent at its highest.
    """

    done: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    lost: list[list[Any]] = field(default_factory=list)
    slow: list[list[Any]] = field(default_factory=list)
    failures: list[list[Any]] = field(default_factory=list)
    peak_mib: float = 0.0

    def summary(self) -> dict[str, Any]:
        """The figures that are reported."""
        p50, p99, most = np.percentile(self.latencies_ms or [0.0], [50, 99, 100])
        return {
            "mutations": self.done,
            "per_second": round(self.done / max(self.seconds, 1e-9), 1),
            "p50_ms": round(float(p50), 1),
            "p99_ms": round(float(p99), 1),
            "max_ms": round(float(most), 1),
            "parent_peak_mib": round(self.peak_mib),
            "outcomes": dict(self.outcomes.most_common()),
            **self.counters,
            "hangs": sum(kind == "hang" for _, kind, *_ in self.failures),
            "failures": len(self.failures),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    number: int
    kind: str
    message: str
    seconds: float
    mutation: Mutation


def read_one(reader: UntrustedReader, mutations: Mutations, number: int) -> Outcome:
    """Read one hostile file as a service would: header, pixels as shown, and of every fourth all there is."""
    mutation = mutations[number]
    kind, message, started = "accepted", "", time.monotonic()
    try:
        image = reader.open(mutation.content)
        image.display(1 + number % image.header.frames)
        if number % 4 == 0:
            image.stored(1)
            _ = image.warnings, image.dataset, image.frame_geometry(image.header.frames)
    except MedgroundError as error:
        kind, message = type(error).__name__, str(error)
    except Exception as error:
        kind, message = _FOREIGN, f"{type(error).__name__}: {error}"
    return Outcome(number, kind, message, time.monotonic() - started, mutation)


def unchanged_are_read(reader: UntrustedReader, bases: Iterable[Base]) -> list[str]:
    """Names of the good files that are refused, or read otherwise than without a worker."""
    wrong = []
    for base in bases:
        here = open_image(base.content)
        try:
            there = reader.open(base.content)
            same = there.header == here.header and all(
                np.array_equal(there.stored(frame), here.stored(frame)) for frame in range(1, here.header.frames + 1)
            )
            same = same and np.array_equal(there.display(), here.display())
        except MedgroundError:
            same = False
        if not same:
            wrong.append(base.name)
    return wrong


def run(count: int, seed: int, workers: int, seconds: float, state: Path | None, *, p99_seconds: float = 1.0) -> Tally:
    """Read the mutations with the numbers below `count`.

    Args:
        count: of all of them, those that an earlier run has done included.
        seed: of the mutations.
        workers: at once.
        seconds: for one question to a worker.
        state: where the tally is kept from chunk to chunk; a run goes on with what is there.
        p99_seconds: that 99 of 100 files may take, by the clock, all their questions together.
    """
    bases = base_files()
    mutations = Mutations(bases, seed)
    tally = _resumed(state, seed)
    first, began = tally.done, time.monotonic()
    with (
        UntrustedReader(Limits(), workers=workers, seconds=seconds, answer_bytes=_ANSWER_BYTES) as reader,
        ThreadPoolExecutor(workers) as threads,
    ):
        while tally.done < count:
            chunk_began = time.monotonic()
            numbers = range(tally.done, min(tally.done + CHUNK, count))
            for outcome in threads.map(lambda number: read_one(reader, mutations, number), numbers):
                _count(tally, outcome, seconds)
            tally.seconds += time.monotonic() - chunk_began
            is_last = tally.done >= count  # one file for each worker also takes the places of those that died
            _settle(tally, reader, bases if is_last else bases[: workers + 1])
            if state:
                state.write_text(json.dumps(vars(tally) | {"seed": seed}))
            rate = (tally.done - first) / (time.monotonic() - began)
            figures = tally.summary()
            print(
                f"{tally.done}/{count}: {rate:.0f}/s, p99 {figures['p99_ms']:.0f} ms, {tally.counters['deaths']} "
                f"deaths, {tally.counters['timeouts']} timeouts, parent {tally.peak_mib:.0f} MiB, "
                f"{len(tally.failures)} failures, about {(count - tally.done) / rate:.0f} s to go",
                flush=True,
            )
    _judge(tally, p99_seconds)
    return tally


def _count(tally: Tally, outcome: Outcome, seconds: float) -> None:
    tally.done += 1
    tally.outcomes[outcome.kind] += 1
    tally.latencies_ms.append(round(outcome.seconds * 1000, 1))
    told = [outcome.number, outcome.kind, outcome.mutation.base, list(outcome.mutation.mutators), outcome.message]
    if outcome.kind == "WorkerError":
        tally.lost.append(told)
    if outcome.seconds > _SLOW_SECONDS:
        tally.slow.append([*told[:4], tally.latencies_ms[-1]])
    if outcome.kind == _FOREIGN:
        tally.failures.append(told)
    if outcome.seconds > _QUESTIONS * seconds + _SLACK_SECONDS:
        tally.failures.append([outcome.number, "hang", outcome.mutation.base, list(outcome.mutation.mutators), ""])


def _settle(tally: Tally, reader: UntrustedReader, bases: Sequence[Base]) -> None:
    """Read good files, and take over the counters."""
    tally.failures += [[None, "good file refused", name, [], ""] for name in unchanged_are_read(reader, bases)]
    for name, number in asdict(reader.counters).items():
        tally.counters[name] += number
        setattr(reader.counters, name, 0)
    tally.peak_mib = max(tally.peak_mib, _peak_mib())


def _peak_mib() -> float:
    """Most resident memory of this program; that of getrusage also counts the process that it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _judge(tally: Tally, p99_seconds: float) -> None:
    """Add to the failures what only the whole run shows."""
    dead = tally.counters["deaths"] + tally.counters["timeouts"]
    unlike = {
        "worker not replaced": dead != tally.counters["replaced"],
        "exception in a worker that is none of ours": tally.counters["foreign"] > 0,
        "p99": tally.summary()["p99_ms"] > p99_seconds * 1000,
        "memory of the parent": tally.peak_mib > _MAX_PARENT_MIB,
    }
    tally.failures += [[None, what, "", [], ""] for what, is_so in unlike.items() if is_so]


def _resumed(state: Path | None, seed: int) -> Tally:
    if state is None or not state.exists():
        return Tally()
    kept = json.loads(state.read_text())
    if kept.pop("seed") != seed:
        raise SystemExit(f"{state} is of another seed: give that seed, or another file")
    return Tally(**kept | {name: Counter(kept[name]) for name in ("outcomes", "counters")})


def main(argv: Sequence[str] | None = None) -> int:
    """Read, watch and report."""
    parser = argparse.ArgumentParser(prog="python -m pipelines hostile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=2000, help="files to read (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes at once (default 2)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for one question to a worker (default 10)")
    parser.add_argument("--p99", type=float, default=1.0, help="seconds that 99 of 100 files may take (default 1)")
    parser.add_argument("--resume", type=Path, metavar="STATE", help="file to keep the tally in and go on from")
    parser.add_argument("--only", type=int, metavar="N", help="read this one alone, and say what becomes of it")
    parser.add_argument("--keep", type=Path, help="with --only: write the hostile file there")
    arguments = parser.parse_args(argv)
    if arguments.only is not None:
        return _read_only(arguments)
    limits = arguments.workers, arguments.seconds, arguments.resume
    tally = run(arguments.mutations, arguments.seed, *limits, p99_seconds=arguments.p99)
    for lost in tally.lost[:_SHOWN]:
        print("lost:", *lost)
    for failure in tally.failures[:_SHOWN]:
        print("FAILURE:", *failure)
    print(json.dumps(tally.summary(), indent=2))
    return 1 if tally.failures else 0


def _read_only(arguments: argparse.Namespace) -> int:
    mutations = Mutations(base_files(), arguments.seed)
    if arguments.keep:
        arguments.keep.write_bytes(mutations[arguments.only].content)
    with UntrustedReader(Limits(), seconds=arguments.seconds, answer_bytes=_ANSWER_BYTES) as reader:
        outcome = read_one(reader, mutations, arguments.only)
        print(f"{outcome.mutation.base}: {', '.join(outcome.mutation.mutators)}; {len(outcome.mutation.content)} bytes")
        print(f"{outcome.kind} after {outcome.seconds:.3f} s: {outcome.message}\n{reader.counters}")
    return 1 if outcome.kind == _FOREIGN else 0


if __name__ == "__main__":
    sys.exit(main())
