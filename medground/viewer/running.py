"""The viewer that runs in this process: Streamlit runs the page's script by its path and can be handed nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medground.viewer.config import ViewerConfig
from medground.viewer.sessions import Session, Sessions


@dataclass(frozen=True, slots=True)
class Viewer:
    """What the pages of a process share.

    Attributes:
        config: of the viewer.
        sessions: who is signed in.
        session_of: the session of the page that is being made; None if it has ended.
    """

    config: ViewerConfig
    sessions: Sessions
    session_of: Callable[[], Session | None]


_running: list[Viewer] = []


def run_as(viewer: Viewer) -> None:
    """Make a viewer the one of this process."""
    _running[:] = [viewer]


def running() -> Viewer:
    """The viewer of this process.

    Raises:
        RuntimeError: there is none; the script was started by `streamlit run` instead of `medground viewer`.
    """
    if not _running:
        raise RuntimeError("start the viewer with `medground viewer`")
    return _running[0]
