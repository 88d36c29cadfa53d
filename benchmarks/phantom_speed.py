"""`python -m benchmarks.phantom_speed`: phantom films of 512 x 512 a second of one core, in processor time.

Every film is drawn with its record, as a training set is. Start it with OMP_NUM_THREADS=1 in the environment, or the
time of other cores would count as well; the figure it prints is per core either way.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.population import phantom_record

_DEFAULT_SEED = 900_000


@dataclass(frozen=True)
class Speed:
    """How fast one kind of film is made.

    Attributes:
        kind: `population` (the findings of ChestX-Det) or `default` (drawn from the seed).
        films: number made in each round.
        per_second: films a second of processor time, one number to a round.
    """

    kind: str
    films: int
    per_second: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.per_second)


def population_film(number: int, size_px: int) -> None:
    """Draw one film of the training part, with its record."""
    phantom_record("train", number, size_px=size_px)


def default_film(number: int, size_px: int) -> None:
    """Draw one film whose findings come from its seed."""
    chest_radiograph(_DEFAULT_SEED + number, size_px=size_px)


def measure(
    kind: str,
    make: Callable[[int, int], None],
    *,
    films: int,
    rounds: int,
    size_px: int = 512,
    clock: Callable[[], float] = time.process_time,
) -> Speed:
    """Make the same films in each round, after one that warms up.

    Args:
        kind: name of what is made.
        make: draws the film of a number at a size.
        films: number in each round.
        rounds: number of them.
        size_px: rows and columns.
        clock: processor seconds.

    Returns:
        The speeds.
    """
    make(0, size_px)
    speeds = []
    for _ in range(rounds):
        start = clock()
        for number in range(films):
            make(number, size_px)
        speeds.append(films / (clock() - start))
    return Speed(kind, films, tuple(speeds))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures both kinds, prints a line to each, and writes the figures where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantom_speed", description=__doc__)
    parser.add_argument("--films", type=int, default=100, help="to a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512, help="rows and columns")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args(argv)
    kinds = {"population": population_film, "default": default_film}
    speeds = [
        measure(kind, make, films=given.films, rounds=given.rounds, size_px=given.size) for kind, make in kinds.items()
    ]
    for speed in speeds:
        low, high = min(speed.per_second), max(speed.per_second)
        sys.stdout.write(f"{speed.kind:12} {speed.median:6.1f} films a second of one core ({low:.1f} to {high:.1f})\n")
    if given.out is not None:
        machine = {"processor": platform.processor() or platform.machine(), "numpy": np.__version__}
        page = {"size_px": given.size, "machine": machine, "speeds": [asdict(speed) for speed in speeds]}
        given.out.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
