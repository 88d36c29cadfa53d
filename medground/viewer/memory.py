"""Memory: what the page remembers of a person between two steps; it outlives a reload of the page, not the session."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from medground.viewer.sessions import Session
from medground.viewer.stage_data import Refused

RECENT = 8


@dataclass(slots=True)
class Memory:
    """Of one session.

    Attributes:
        study: key of the study that is open; None on the work list.
        jobs: the result that is shown, by study.
        asked: the job that is waited for, by study.
        unanswered: why the last question has no answer, in words, by study.
        series: the series that is shown, by study.
        pointed: job and finding that the series was last chosen for, by study.
        prior: the study shown beside it, by study.
        selected: the chosen finding, by job.
        seen: revision of the review that the page showed last, by job.
        dealt_with: number of the last event of the stage that was dealt with, by job and tab of the browser.
        refused: events of the stage that could not be done, by job.
        recent: questions, newest first.
        waiting: what keeps events from being dealt with, in words; empty if nothing does.
        told: what went wrong with something said on the page, in words; shown until something is kept.
        unsigned: why the last attempt to sign failed, in words, by job; shown once.
        min_score: boxes below it are not shown.
        turn: held while something is put into a review: Streamlit may run the page twice at once for one person.
    """

    study: str | None = None
    jobs: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    series: dict[str, str] = field(default_factory=dict)
    pointed: dict[str, str] = field(default_factory=dict)
    prior: dict[str, str] = field(default_factory=dict)
    selected: dict[str, str] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    dealt_with: dict[str, dict[str, int]] = field(default_factory=dict)
    refused: dict[str, list[Refused]] = field(default_factory=dict)
    recent: list[str] = field(default_factory=list)
    waiting: str = ""
    told: str = ""
    unsigned: dict[str, str] = field(default_factory=dict)
    min_score: float = 0.0
    turn: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def saw(self, job: str, revision: int) -> None:
        """Note that the person saw a revision of a review; what was seen is never unseen by a page that comes late."""
        with self.turn:
            self.seen[job] = max(revision, self.seen.get(job, 0))

    def remember_question(self, words: str) -> None:
        """Put a question first among the recent ones."""
        self.recent = [words, *(one for one in self.recent if one != words)][:RECENT]


def memory_of(session: Session) -> Memory:
    """The memory of a session; made at its first step."""
    if session.memory is None:
        session.memory = Memory()
    return session.memory
