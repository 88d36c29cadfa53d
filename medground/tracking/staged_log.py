"""The numbers of a training, stage by stage in MLflow: each stage is a child run."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType

from medground.tracking.runs import RunLog


class StagedLog:
    """Numbers of a training, each given to the child run of the stage that its step falls in.

    A training that was killed between two stages is gone on with in the second: the child of the first, which nobody
    closed, is ended with the first number of the second. At the end of a training that did not fail all of them are.

    Args:
        run: the parent.
        stages: name and number of steps of each stage, in order.
    """

    def __init__(self, run: RunLog, stages: Sequence[tuple[str, int]]) -> None:
        self._run, self._stages = run, stages
        self._open = ExitStack()
        self._current: tuple[str, RunLog] | None = None

    def __enter__(self) -> StagedLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
        if kind is None:
            self._run.end_children(self._children(len(self._stages)))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Takes named numbers after so many steps over all stages, 1 at the first; children count their own steps."""
        ends = list(itertools.accumulate(steps for _, steps in self._stages))
        index = bisect.bisect_left(ends, step)
        if index == len(ends):
            raise ValueError(f"step {step} lies after the last of the {ends[-1] if ends else 0} steps")
        name, steps = self._stages[index]
        if self._current is None or self._current[0] != name:
            self._open.close()
            self._run.end_children(self._children(index))
            self._current = name, self._open.enter_context(self._run.child(_child_name(name), kind="stage"))
        self._current[1].metrics(values, step - ends[index] + steps)

    def _children(self, stages: int) -> list[str]:
        """Names of the children of the first so many stages."""
        return [_child_name(name) for name, _ in self._stages[:stages]]


def _child_name(stage: str) -> str:
    return f"stage {stage}"
