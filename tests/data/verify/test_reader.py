from __future__ import annotations

import pytest

from medground.data.verify import words
from medground.data.verify.reader import Reader, Word
from medground.data.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def english() -> Reader:
    return Reader(load_vocabulary(), "en", [*words.english_nouns(), *words.english_questions()])


@pytest.fixture(scope="module")
def chinese() -> Reader:
    return Reader(load_vocabulary(), "zh", [*words.chinese_nouns(), *words.chinese_questions()])


def test_longer_words_come_first(english, chinese):
    first = next(english.readings("Find the SPOT on the lung!"))
    assert [word.role for word in first] == ["f", "d", "C"]
    assert first[2] == Word("C", "nodule")
    assert [word.value for word in next(chinese.readings("小结节"))] == ["nodule"]
    assert {tuple(word.role for word in reading) for reading in chinese.readings("小结节")} == {("C",), ("z", "C")}


def test_every_reading_covers_the_whole_text(english):
    assert list(english.readings("find the shiny nodule")) == []
    assert english.unread("find the shiny nodule") == "shiny nodule"
    assert english.unread("find the nodule") == ""


def test_numbers_in_digits_are_words_of_their_own(english):
    assert list(english.readings("12")) == [(Word("N", 12),)]
    assert list(english.readings("12a")) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_name_of_the_vocabulary_is_read_as_its_concept(english, chinese, language):
    reader = {"en": english, "zh": chinese}[language]
    for concept in load_vocabulary().concepts:
        for name in concept.names[language]:
            assert next(reader.readings(name)) == (Word("C", concept.key),), name
