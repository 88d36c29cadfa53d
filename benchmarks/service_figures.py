"""The figures of `benchmarks.service_load`, and the page that tells them."""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

GOAL: Final = 10.0
"""Images received for each that is read, so that a receiver never waits for the model."""


@dataclass
class Clients:
    """What so many clients saw, over all rounds."""

    clients: int
    seconds: list[float] = field(default_factory=list)
    model_s: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    over_plain: list[float] = field(default_factory=list)

    def percentile_s(self, percent: float) -> float:
        """Of the latencies; the nearest rank."""
        ranked = sorted(self.seconds)
        return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


@dataclass
class Figures:
    """Everything that was measured; rates per second, one number to a round."""

    film_bytes: int
    plain: list[float] = field(default_factory=list)
    plain_model_s: list[float] = field(default_factory=list)
    clients: list[Clients] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    stored_over_plain: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    @property
    def growth_bytes(self) -> float:
        """Mean memory of the last tenth of the requests less that of the first."""
        return statistics.mean(self.resident[-self._tenth :]) - self.resident_bytes

    @property
    def resident_bytes(self) -> float:
        """Mean memory of the first tenth of the requests."""
        return statistics.mean(self.resident[: self._tenth])

    @property
    def _tenth(self) -> int:
        return max(1, len(self.resident) // 10)


def markdown(given: argparse.Namespace, figures: Figures) -> str:
    """The figures as a page."""
    mib = 2**20
    plain, stored = statistics.median(figures.plain), statistics.median(figures.stored)
    lines = [
        "# The service under load",
        "",
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the end, Python {platform.python_version()}, "
        f"device {given.device}, {given.threads} thread(s) of the model on either side; "
        f"films of {figures.film_bytes / 1e6:.2f} MB; {given.rounds} round(s) of {given.requests} requests. "
        "Ratios: median (lowest to highest) of the rounds.",
        "",
        f"Plain loop: {plain:.2f} answers a second ({min(figures.plain):.2f} to {max(figures.plain):.2f}); the model's "
        f"own time for a film {statistics.median(figures.plain_model_s):.2f} s.",
        "",
        "| clients | p50 | p95 | p99 | of it the model (median) | answers a second | over the plain loop |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in figures.clients:
        p50, p95, p99 = (one.percentile_s(percent) for percent in (50, 95, 99))
        rate = statistics.median(one.per_second)
        lines.append(
            f"| {one.clients} | {p50:.2f} s | {p95:.2f} s | {p99:.2f} s | {statistics.median(one.model_s):.2f} s | "
            f"{rate:.2f} | {_ratios(one.over_plain)} |"
        )
    goal = "reached" if statistics.median(figures.stored_over_plain) >= GOAL else "missed"
    return "\n".join(
        [
            *lines,
            "",
            f"Receiving by C-STORE, {given.associations} association(s): {stored:.1f} images a second, "
            f"{_ratios(figures.stored_over_plain)} of the plain loop (goal {GOAL:g}: {goal}).",
            "",
            f"Memory over {len(figures.resident)} requests: {figures.resident_bytes / mib:.0f} MiB in the first tenth, "
            f"growth to the last {figures.growth_bytes / mib:+.1f} MiB.",
            "",
        ]
    )


def _ratios(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
