"""Progress and messages on stderr, so that stdout carries answers only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 5.0


@contextmanager
def image_progress(
    console: Console, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int], None]]:
    """Show which image of how many is being looked at: a bar on a terminal, elsewhere a line every few seconds.

    Args:
        console: writes to stderr.
        clock: seconds.

    Yields:
        What to call with the number of images done and their total.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("looking at image", total=None)
        last = clock()

        def report(done: int, total: int) -> None:
            nonlocal last
            bar.update(task, completed=done, total=total)
            if not console.is_terminal and clock() - last >= LINE_EVERY_S:
                last = clock()
                console.print(f"looked at {done} of {total} images", highlight=False)

        yield report


@contextmanager
def stage(console: Console, words: str) -> Iterator[None]:
    """Show on a terminal what is being waited for."""
    if console.is_terminal:
        with console.status(words):
            yield
    else:
        yield
