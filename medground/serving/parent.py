"""Parent: a process that another one started for itself alone ends with it, however that one ended.

The parent holds the writing end of a pipe and never writes. When it is gone, even killed, its system closes that end,
and whoever reads the pipe comes to its end: on every system, and without a moment in which the parent can be missed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

_GRACE_S = 20.0


def end_with(
    input_file: int,
    end: Callable[[], object],
    *,
    grace_s: float = _GRACE_S,
    give_up: Callable[[int], object] = os._exit,
) -> threading.Thread:
    """Ask this process to end once a pipe has ended.

    Args:
        input_file: descriptor of the reading end.
        end: asks to end; called once.
        grace_s: for ending; nobody is left who would kill what hangs.
        give_up: ends at once, with an exit code; what was accepted is kept, as after any kill.

    Returns:
        The thread that waits.
    """

    def wait() -> None:
        while _read(input_file):
            pass
        end()
        time.sleep(grace_s)
        give_up(1)

    thread = threading.Thread(target=wait, name="parent", daemon=True)
    thread.start()
    return thread


def _read(file: int) -> bytes:
    try:
        return os.read(file, 4096)
    except OSError:  # of a pipe that is broken
        return b""
