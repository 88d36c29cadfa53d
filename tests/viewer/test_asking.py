"""Questions: the lines of a text, what is suggested, and asking on the page."""

from __future__ import annotations

import pytest

from medground.client.client import Client
from medground.serving.access.scope import Scope
from medground.serving.jobs import Problem
from medground.viewer.asking import MOST_QUESTIONS, lines_of, suggested
from medground.viewer.colours import PALETTE
from medground.viewer.memory import RECENT, Memory
from tests.serving.running import NODULE, Running
from tests.viewer.conftest import Ask, New, Opened
from tests.viewer.made import model, trained
from tests.viewer.opened_page import OpenedPage

FILM, LIMB, CT = "chest radiograph", "limb radiograph", "chest CT"
NAMES = {
    "nodule": {"en": ("nodule", "spot"), "zh": ("结节", "小结节")},
    "effusion": {"en": ("pleural effusion",), "zh": ("胸腔积液",)},
    "pneumothorax": {"en": ("pneumothorax",), "zh": ("气胸",)},
    "fracture": {"en": ("fracture",)},
}
MODEL = model(
    trained("nodule", FILM, 50),
    trained("nodule", CT, 500),
    trained("effusion", FILM, 200),
    trained("pneumothorax", FILM, 100),
    trained("fracture", LIMB, 150),
    names=NAMES,
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (" \n\t\n", []),
        ("is there a nodule?", ["is there a nodule?"]),
        ("  a \n\nb\r\na\n左肺有结节吗", ["a", "b", "左肺有结节吗"]),
    ],
)
def test_each_line_is_a_question_once(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_each_question_can_have_a_colour_of_its_own() -> None:
    assert len(PALETTE) == MOST_QUESTIONS


def test_what_the_model_saw_most_of_is_suggested_first() -> None:
    # of films: effusion 200, fracture 150, pneumothorax 100, nodule 50; the third is asked in Chinese
    assert suggested(MODEL, ["DX"]) == ["find pleural effusion", "find fracture", "有气胸吗", "find nodule"]
    assert suggested(MODEL, ["CR"]) == suggested(MODEL, ["DX"])


def test_only_what_fits_the_images_is_suggested() -> None:
    assert suggested(MODEL, ["CT"]) == ["find nodule"]
    assert suggested(MODEL, ["CT", "DX"])[0] == "find nodule"  # 550 boxes on both kinds


def test_of_a_modality_that_is_unknown_everything_may_be_asked() -> None:
    # fracture comes third and has no Chinese name
    everything = ["find nodule", "find pleural effusion", "find fracture", "find pneumothorax"]
    assert suggested(MODEL, ["MR"]) == suggested(MODEL, []) == everything


def test_no_more_than_six_are_suggested() -> None:
    many = model(*(trained(f"c{n}", CT, n) for n in range(10)))
    assert suggested(many, ["CT"]) == [f"find c{n}" for n in (9, 8, 7, 6, 5, 4)]
    assert suggested(model(), ["CT"]) == []


def test_recent_questions_are_remembered_newest_first() -> None:
    memory = Memory()
    for words in ("a", "b", "a"):
        memory.remember_question(words)
    assert memory.recent == ["a", "b"]
    for number in range(RECENT):
        memory.remember_question(str(number))
    assert memory.recent == [str(number) for number in reversed(range(RECENT))]


QUESTIONS = "Questions, one a line, in English or Chinese"


def ask_on(page: OpenedPage, house: Running, words: str) -> None:
    """Write questions, ask, and look again once they are answered."""
    page.write(QUESTIONS, words)
    with house.answering.held():
        page.press("Ask")
        assert list(page.memory.asked) == [page.memory.study]
    assert page.session is not None
    page.session.client.wait(page.memory.asked[str(page.memory.study)])
    page.again()
    assert page.memory.asked == {}


def test_a_question_that_is_answered_with_a_finding(
    opened: Opened, house: Running, client: Client, new_film: New
) -> None:
    (study,) = client.store([new_film(NODULE)]).studies
    page = opened(study)
    assert page.shows("Nothing was asked of this study yet.")
    assert page.stage["boxes"] == []
    assert page.stage["may_review"] is False
    ask_on(page, house, "is there a nodule?\n\n is there a pleural effusion?")
    assert page.shows("1. is there a nodule?")
    assert page.shows("2. is there a pleural effusion?")
    assert [word for word in page.words if word in ("**Found**", "**Not found**")] == ["**Found**", "**Not found**"]
    assert page.shows("Probability 0.90 that it is there (calibrated)")
    assert page.shows("Probability 0.03 that it is there (calibrated)")
    (finding,) = client.review(page.memory.jobs[study]).findings
    assert page.button("", key=f"finding-{finding.finding_id}").label == "nodule 0.90  ○ not reviewed"
    (box,) = page.stage["boxes"]
    assert (box["id"], box["label"], box["colour"]) == (finding.finding_id, "1: nodule 0.90", PALETTE[0])
    assert box["box_xyxy_px"] == pytest.approx(NODULE, abs=1)
    assert page.stage["may_review"] is True
    assert page.shows("0 of 1 findings reviewed.")


def test_while_a_question_is_being_answered(opened: Opened, house: Running, client: Client, new_film: New) -> None:
    (study,) = client.store([new_film(NODULE)]).studies
    page = opened(study)
    page.write(QUESTIONS, "is there a nodule?")
    with house.answering.held():
        page.press("Ask")
        (progress,) = page.app.get("progress")
        assert (progress.value, progress.proto.text) == (0, "Waiting")
        page.press("Stop")
    assert page.errors == ["There is no answer: it was stopped."]
    page.again()
    assert page.errors == ["There is no answer: it was stopped."]  # until the next question
    ask_on(page, house, "is there a nodule?")
    assert page.errors == []
    assert page.shows("**Found**")


def test_a_question_that_the_model_cannot_answer_is_shown_as_such(opened: Opened, ask: Ask) -> None:
    asked = ask(NODULE, questions=("is there a fracture?",))
    page = opened(asked.study)
    assert page.shows("**Unsupported: the model cannot answer this**")
    assert not page.shows("Not found")
    assert not page.shows("Probability")


def test_what_cannot_be_asked(opened: Opened, client: Client, new_film: New) -> None:
    (study,) = client.store([new_film()]).studies
    page = opened(study)
    page.press("Ask")
    assert page.shows("Write a question first, for example: is there a nodule?")
    page.write(QUESTIONS, "\n".join(f"find nodule {n}" for n in range(9)))
    page.press("Ask")
    assert page.shows("Ask at most 8 questions at once")
    page.write(QUESTIONS, "x" * 5000)
    page.press("Ask")
    assert page.errors[0].startswith("The question was not taken. ")
    assert client.results(study) == ()


def test_a_question_that_fails_says_why(opened: Opened, house: Running, client: Client, new_film: New) -> None:
    (study,) = client.store([new_film(NODULE)]).studies
    page = opened(study)
    page.write(QUESTIONS, "is there a nodule?")
    with house.answering.held():
        page.press("Ask")
        house.service.jobs.fail(house.job(page.memory.asked[study]), Problem(kind="K", detail="it broke in words."))
        page.again()
    assert page.errors == ["There is no answer: it broke in words."]
    assert page.memory.asked == {}


def test_a_question_that_is_deleted_while_it_waits(
    opened: Opened, house: Running, client: Client, new_film: New
) -> None:
    (study,) = client.store([new_film(NODULE)]).studies
    page = opened(study)
    page.write(QUESTIONS, "is there a nodule?")
    with house.answering.held():
        page.press("Ask")
        house.client(Scope.ADMIN).delete(f"/v1/jobs/{page.memory.asked[study]}").raise_for_status()
        page.again()
    assert page.errors[0].startswith("There is no answer: there is no such job")
    assert page.memory.asked == {}


def test_suggested_and_recent_questions_are_put_into_the_form(
    opened: Opened, house: Running, client: Client, new_film: New
) -> None:
    (study,) = client.store([new_film(NODULE)]).studies
    page = opened(study)
    page.press("", key=f"Suggested-0-question-{study}")
    page.press("", key=f"Suggested-1-question-{study}")
    page.press("", key=f"Suggested-0-question-{study}")
    (field,) = page.app.text_area
    assert field.value == "find pleural effusion\nfind nodule"
    ask_on(page, house, "find nodule")
    assert page.button("", key=f"Recent-0-question-{study}").label == "find nodule"
    (other,) = client.store([new_film()]).studies
    page.memory.study = other
    page.again()
    page.press("", key=f"Recent-0-question-{other}")
    (field,) = page.app.text_area
    assert field.value == "find nodule"


def test_the_newest_answer_is_shown_until_another_is_chosen(opened: Opened, client: Client, ask: Ask) -> None:
    asked = ask(NODULE)
    newer = client.submit(asked.study, ["is there a pneumothorax?"])
    client.wait(newer.id)
    page = opened(asked.study)
    assert page.shows("1. is there a pneumothorax?")
    page.choose("Answers", asked.job)
    assert page.shows("1. is there a nodule?")
    assert page.stage["study"].startswith(f"{asked.place}.")
    page.press("← Work list")
    page.press("", key=f"open-{asked.study}")
    assert page.shows("1. is there a nodule?")
