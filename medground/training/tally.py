"""Means of named numbers between two lines of the log."""

from __future__ import annotations

import torch

from medground.training.processes import Processes


class Tally:
    """Sums of named numbers over steps."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, float]) -> None:
        """Takes the numbers of a step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def means(self, processes: Processes) -> dict[str, float]:
        """Mean over steps of the sums over processes."""
        names = sorted({name for some in processes.gather([sorted(self.sums)]) for name in some})
        own = torch.tensor([self.sums.get(name, 0.0) for name in names], dtype=torch.float64)
        return dict(zip(names, (processes.total(own) / self.count).tolist(), strict=True))
