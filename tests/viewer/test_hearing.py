"""What was done on the stage is done once in a service's review, however often the browser says it."""

from __future__ import annotations

from typing import Any

import pytest

from medground.client.client import Client
from medground.viewer.hearing import hear
from medground.viewer.memory import Memory, memory_of
from medground.viewer.reviewing import STALE
from medground.viewer.sessions import Session
from medground.viewer.stage import events_of
from tests.serving.running import EFFUSION, NODULE
from tests.viewer.conftest import Ask
from tests.viewer.people import Asked, People


class Browser:
    """A stage in a browser: it sends everything that was not acknowledged, with every step."""

    def __init__(self, session: Session, asked: Asked, tab: str = "a") -> None:
        self.session, self.asked, self.memory, self.tab = session, asked, memory_of(session), tab
        self.outbox: list[dict[str, Any]] = []
        self.number = 1_700_000_000_000
        self.look()

    def look(self) -> None:
        """The page is made anew: what it shows is what the person has seen, and the stage is told what was done."""
        self.memory.seen[self.asked.job] = self.session.client.review(self.asked.job).revision
        done = self.memory.dealt_with.get(self.asked.job, {})
        self.outbox = [one for one in self.outbox if one["number"] > done.get(one["tab"], 0)]

    def does(self, kind: str, **more: Any) -> int:
        self.number += 1
        self.outbox.append({"kind": kind, "tab": self.tab, "number": self.number, "study": self.asked.place, **more})
        return self.number

    def send(self, session: Session | None = None) -> None:
        events = events_of({"events": [dict(one) for one in self.outbox]})
        hear(session or self.session, self.memory, self.asked.place, self.asked.job, events)

    @property
    def entries(self) -> list[tuple[str, str]]:
        """Actions and findings in the review, as the service lists them."""
        state = self.session.client.review(self.asked.job)
        return [(one["entry"]["action"], one["entry"]["finding_id"] or "") for one in state.entries]

    @property
    def findings(self) -> list[str]:
        return [one.finding_id for one in self.session.client.review(self.asked.job).findings]


@pytest.fixture
def browser(people: People, ask: Ask) -> Browser:
    questions = ("is there a nodule?", "is there a pleural effusion?")
    return Browser(people.session(), ask(NODULE, EFFUSION, questions=questions))


def test_what_is_sent_three_times_is_done_once(browser: Browser) -> None:
    nodule, effusion = browser.findings
    number = browser.does("accept", finding=nodule)
    browser.does("add", concept="nodule", box_xyxy_px=[1, 2, 30, 40], sop=_sop(browser), frame=1)
    for _ in range(3):
        browser.send()
    assert [action for action, _ in browser.entries] == ["accept", "add"]
    assert browser.memory.dealt_with == {browser.asked.job: {"a": number + 1}}
    browser.does("reject", finding=effusion, reason="artefact")
    browser.send()  # with all three
    assert [action for action, _ in browser.entries] == ["accept", "add", "reject"]
    browser.look()
    assert browser.outbox == []
    browser.send()
    assert len(browser.entries) == 3


def test_two_tabs_of_one_person_count_apart(browser: Browser) -> None:
    """The second was opened earlier, so its numbers are lower; and a number that both give is two events."""
    nodule, effusion = browser.findings
    other = Browser(browser.session, browser.asked, tab="b")
    other.number -= 1000
    browser.does("accept", finding=nodule)
    browser.send()
    other.does("accept", finding=effusion)
    other.send()
    assert browser.entries == [("accept", nodule), ("accept", effusion)]
    other.number = browser.number
    browser.does("reject", finding=nodule, reason="other")
    other.does("reject", finding=effusion, reason="other")
    for _ in range(2):
        browser.send()
        other.send()
    assert browser.entries[2:] == [("reject", nodule), ("reject", effusion)]
    assert browser.memory.dealt_with == {browser.asked.job: {"a": browser.number, "b": other.number}}
    for one in (browser, other):
        one.look()
        assert one.outbox == []


def test_what_is_refused_to_one_tab_is_told_whatever_another_does(browser: Browser) -> None:
    other = Browser(browser.session, browser.asked, tab="b")
    number = browser.does("undo")
    browser.send()
    other.does("accept", finding=browser.findings[0])
    other.send()
    told = [(one.tab, one.number) for one in browser.memory.refused[browser.asked.job]]
    assert told == [("a", number)]


def test_every_kind_of_event_reaches_the_review(browser: Browser) -> None:
    nodule, effusion = browser.findings
    for kind, more in (
        ("edit", {"finding": nodule, "box_xyxy_px": [60, 70, 95, 100], "sop": _sop(browser), "frame": 1}),
        ("relabel", {"finding": effusion, "concept": "consolidation"}),
        ("add", {"concept": "nodule", "box_xyxy_px": [1, 2, 30, 40], "sop": _sop(browser), "frame": 1}),
        ("accept", {"finding": nodule}),
        ("reject", {"finding": effusion, "reason": "not_a_lesion"}),
    ):
        browser.does(kind, **more)
        browser.send()
        browser.look()
    assert browser.memory.refused[browser.asked.job] == []
    first, second, third = browser.session.client.review(browser.asked.job).findings
    assert [one.status for one in (first, second, third)] == ["accepted", "rejected", "added"]
    actions = [action for action, _ in browser.entries]
    assert actions == ["edit", "edit", "add", "accept", "reject"]
    stored = [one["entry"] for one in browser.session.client.review(browser.asked.job).entries]
    assert stored[0]["box_xyxy_px"] == [60, 70, 95, 100]
    assert stored[1]["concept"] == "consolidation"
    assert [one["reason"] for one in stored] == [
        "wrong_place",
        "wrong_finding",
        "missed",
        "confirmed",
        "not_a_lesion",
    ]


def test_choosing_a_finding_is_no_entry(browser: Browser) -> None:
    nodule, effusion = browser.findings
    number = 0
    for finding in (effusion, nodule):
        number = browser.does("select", finding=finding)
    browser.send()
    assert browser.memory.selected == {browser.asked.job: nodule}
    assert browser.entries == []
    assert browser.memory.dealt_with == {browser.asked.job: {"a": number}}


def test_a_choice_on_the_page_stands_against_an_older_one_on_the_stage(browser: Browser) -> None:
    nodule, effusion = browser.findings
    browser.does("select", finding=nodule)
    browser.send()
    browser.memory.selected[browser.asked.job] = effusion
    browser.does("accept", finding=effusion)
    browser.send()  # with the older choice
    assert browser.memory.selected == {browser.asked.job: effusion}
    browser.look()
    assert browser.outbox == []


def test_a_choice_acknowledges_nothing_that_waits_before_it(browser: Browser, people: People) -> None:
    nodule, effusion = browser.findings
    browser.does("accept", finding=nodule)
    browser.does("select", finding=effusion)
    browser.send(people.away(browser.session))
    assert browser.memory.selected == {browser.asked.job: effusion}
    assert browser.memory.dealt_with == {}
    browser.send()
    assert browser.entries == [("accept", nodule)]


def test_events_of_another_study_wait_until_it_is_shown_again(browser: Browser, people: People, ask: Ask) -> None:
    (nodule, _), elsewhere = browser.findings, ask(NODULE)
    browser.does("accept", finding=nodule)
    browser.does("select", finding=nodule)
    other = Browser(browser.session, elsewhere)
    other.outbox = browser.outbox
    other.send()
    assert other.entries == browser.entries == []
    assert browser.memory.dealt_with == browser.memory.selected == {}
    browser.send()
    assert browser.entries == [("accept", nodule)]
    assert browser.memory.selected == {browser.asked.job: nodule}


def test_another_result_of_the_same_study_is_another_place(browser: Browser) -> None:
    (nodule, _), asked = browser.findings, browser.asked
    again = browser.session.client.submit(asked.study, ["is there a pneumothorax?"])
    browser.session.client.wait(again.id)
    browser.does("accept", finding=nodule)
    events = events_of({"events": browser.outbox})
    hear(browser.session, browser.memory, Asked(asked.study, again.id).place, again.id, events)
    assert browser.entries == []
    assert browser.session.client.review(again.id).entries == ()


def test_nothing_is_done_where_nothing_was_answered(browser: Browser) -> None:
    browser.does("accept", finding="f")
    hear(browser.session, browser.memory, browser.asked.place, "", events_of({"events": browser.outbox}))
    assert browser.memory.dealt_with == {}


def test_what_rests_on_an_older_state_is_refused_with_words(browser: Browser, client: Client) -> None:
    nodule, effusion = browser.findings
    client.add_review(browser.asked.job, 0, {"action": "accept", "finding_id": nodule})
    number = browser.does("reject", finding=nodule, reason="other")
    browser.send()
    assert browser.entries == [("accept", nodule)]
    assert [(one.number, one.words) for one in browser.memory.refused[browser.asked.job]] == [(number, STALE)]
    assert browser.memory.dealt_with == {browser.asked.job: {"a": number}}
    assert browser.memory.seen == {browser.asked.job: 1}  # the later state is what the page shows now
    browser.look()
    browser.does("reject", finding=effusion, reason="other")
    browser.send()
    assert browser.entries == [("accept", nodule), ("reject", effusion)]
    assert browser.memory.refused[browser.asked.job] == []


def test_while_the_service_is_away_everything_waits(browser: Browser, people: People) -> None:
    nodule, effusion = browser.findings
    browser.does("accept", finding=nodule)
    browser.does("reject", finding=effusion, reason="artefact")
    for _ in range(2):
        browser.send(people.away(browser.session))
        assert browser.memory.waiting.startswith("The service does not answer; nothing is lost.")
        assert browser.memory.dealt_with == {}
    browser.look()
    assert len(browser.outbox) == 2
    browser.send()
    assert browser.memory.waiting == ""
    assert browser.entries == [("accept", nodule), ("reject", effusion)]
    browser.look()
    assert browser.outbox == []


def test_undo_takes_back_the_last_entry_and_stops_at_a_signature(browser: Browser) -> None:
    nodule, effusion = browser.findings
    browser.does("accept", finding=nodule)
    browser.does("accept", finding=effusion)
    browser.does("undo")
    browser.send()
    state = browser.session.client.review(browser.asked.job)
    assert [one.status for one in state.findings] == ["accepted", "unreviewed"]
    browser.does("accept", finding=effusion)
    browser.send()
    client, asked = browser.session.client, browser.asked
    client.sign(asked.study, asked.job, client.review(asked.job).revision, "Doe^Ann")
    browser.look()
    number = browser.does("undo")
    browser.send()
    (refused,) = browser.memory.refused[asked.job]
    assert (refused.number, refused.words) == (number, "There is nothing to take back.")
    assert client.review(asked.job).is_signed
    browser.does("reject", finding=effusion, reason="other")
    browser.does("undo")
    browser.does("undo")
    browser.send()
    state = client.review(asked.job)
    assert [one.status for one in state.findings] == ["accepted", "accepted"]
    assert [one["entry"]["action"] for one in state.entries][-3:] == ["sign", "reject", "undo"]


def test_memory_is_that_of_the_session(people: People) -> None:
    session = people.session()
    assert memory_of(session) is memory_of(session)
    assert memory_of(session) is not memory_of(people.session())
    assert isinstance(session.memory, Memory)


def test_what_was_kept_though_its_answer_was_lost_is_not_said_twice(ask: Ask, people: People) -> None:
    browser = Browser(people.session(), ask(NODULE))
    number = browser.does("add", concept="nodule", box_xyxy_px=[10, 10, 30, 30], sop=_sop(browser), frame=1)
    browser.send()
    browser.memory.dealt_with.clear()  # as if the viewer had ended before it told the browser
    browser.does("accept", finding=browser.findings[0])
    browser.send()
    assert [action for action, _ in browser.entries] == ["add", "accept"]
    browser.memory.dealt_with.clear()
    browser.memory.seen[browser.asked.job] = 0
    browser.send()
    assert [action for action, _ in browser.entries] == ["add", "accept"]
    assert browser.memory.refused[browser.asked.job] == []
    assert browser.memory.dealt_with[browser.asked.job]["a"] > number


def _sop(browser: Browser) -> str:
    finding = browser.session.client.review(browser.asked.job).findings[0].finding
    assert finding is not None
    assert finding.sop_instance_uid is not None
    return finding.sop_instance_uid
