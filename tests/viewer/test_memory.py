"""What the page remembers of a person."""

from __future__ import annotations

from medground.viewer.memory import RECENT, Memory


def test_a_page_that_comes_late_unsees_nothing() -> None:
    memory = Memory()
    for revision in (1, 3, 2):
        memory.saw("a", revision)
    memory.saw("b", 0)
    assert memory.seen == {"a": 3, "b": 0}


def test_recent_questions_come_once_and_newest_first() -> None:
    memory = Memory()
    for number in [*range(RECENT + 2), 5]:
        memory.remember_question(f"question {number}")
    assert memory.recent[:3] == ["question 5", f"question {RECENT + 1}", f"question {RECENT}"]
    assert len(memory.recent) == len(set(memory.recent)) == RECENT
