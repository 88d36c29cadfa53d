"""The schema of the Coalition for Health AI is the judge; it lies beside the repository, not in it."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
import xmlschema

from medground.cards.contents import Change
from medground.cards.forms.chai import NAMESPACE, chai_of, chai_problems
from tests.cards.forms.numbers import figures, group_figures


def values(content: bytes, metric: str) -> list[tuple[float, float, float, int]]:
    root = ElementTree.fromstring(content)
    texts = [e.text or "" for e in root.iterfind(f".//{{{NAMESPACE}}}{metric}//{{{NAMESPACE}}}ValueJson")]
    return [
        (v["value"], v["low"], v["high"], v.get("boxes") or v["questions"]) for text in texts if (v := json.loads(text))
    ]


def test_it_is_valid(facts, bare, schema):
    schema.validate(chai_of(facts).decode())
    schema.validate(chai_of(bare).decode())
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(chai_of(facts).decode().replace("Label>", "Lable>"))


def test_numbers_are_those_of_the_facts(facts):
    content = chai_of(facts)
    useful, safe = values(content, "UsefulnessUsabilityEfficacy"), values(content, "SafetyReliability")
    assert sorted(useful + safe) == figures(facts)
    assert sorted(values(content, "FairnessEquity")) == group_figures(facts)


def test_words_are_those_of_the_facts(facts, bare):
    changes = (Change(version=facts.model.version, date="2026-01-01", words="New."), *facts.changes)
    root = ElementTree.fromstring(chai_of(facts.model_copy(update={"changes": changes})))

    def said(name: str) -> str:
        return root.findtext(f".//{{{NAMESPACE}}}{name}") or ""

    assert said("ModelName") == facts.title
    assert said("ReleaseDate") == "2026-01-01"
    assert said("IntendedUseAndWorkflow") == "\n".join(facts.intended_use)
    assert said("FundingSource") == "not stated"
    labels = [e.text or "" for e in root.iter(f"{{{NAMESPACE}}}Label")]
    assert labels[0] == "four films: mean AP at 0.5, all findings"
    assert any("ten <phantoms> & more (synthetic)" in label for label in labels)
    assert b"Nothing could be measured" in chai_of(bare)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"<Keyword>", b"<Keywort>", "it is no XML: mismatched tag"),
        (b"<Keywords>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><Keywords>", "it holds a declaration or a comment"),
        (b"v0.2", b"v0.1", "its first element is {https://mc.chai.org/v0.1/schema.xsd}AppliedModelCard"),
        (b"<BasicInfo>", b"<BasicInfo >", "it is written in another form"),
        (b"<BasicInfo>", b'<BasicInfo a="b">', "BasicInfo has attributes"),
        (b"<BasicInfo>", b"<BasicInfo>more", "BasicInfo has words between its elements"),
        (b"<Label>four films", b"<Label><Label/>", "Label holds Label, not words alone"),
        (b"<Results>", b"<Results><Label/>", "Results may hold MetricResult alone, at least 1"),
        (b"<Bibliography>", b"<Resources/><Bibliography>", "AppliedModelCard holds BasicInfo, ReleaseInfo"),
    ],
)
def test_what_is_wrong_is_told_without_the_schema(facts, old, new, told):
    content = chai_of(facts)
    assert chai_problems(content) == []
    assert any(words.startswith(told) for words in chai_problems(content.replace(old, new, 1)))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-7", "latin-1"])
def test_another_encoding_hides_no_declaration(facts, encoding):
    """In it `<!` has other bytes, and a parser would read it all the same."""
    text = chai_of(facts).decode()
    hidden = text.replace('"UTF-8"?>\n', f'"{encoding}"?>\n<!DOCTYPE a [<!ENTITY b "c">]>\n', 1)
    content = hidden.encode(encoding, "replace")
    assert chai_problems(content) == ["it does not begin with the line that every one begins with"]


def test_what_xml_cannot_hold_is_left_out(facts, schema):
    odd = facts.model_copy(update={"title": "a\x00b\r\nc ]]> \x1b", "summary": "  "})
    content = chai_of(odd)
    assert ElementTree.fromstring(content).findtext(f".//{{{NAMESPACE}}}ModelName") == "ab\nc ]]> "
    assert chai_problems(content) == []
    schema.validate(content.decode())
