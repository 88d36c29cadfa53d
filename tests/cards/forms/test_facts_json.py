from __future__ import annotations

import json

import pytest

from medground.cards.contents import CardFacts
from medground.cards.forms.facts_json import facts_file, facts_problems


def test_facts_come_back_from_their_file(facts):
    content = facts_file(facts)
    assert facts_problems(content) == []
    assert CardFacts.model_validate_json(content) == facts


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tree: tree | {"approved_by": "somebody"}, "approved_by: Extra inputs are not permitted"),
        (lambda tree: {k: v for k, v in tree.items() if k != "method"}, "method: Field required"),
        (lambda tree: tree["model"].update(image_size_px=0.5) or tree, "model.image_size_px: Input should be a valid"),
        (lambda tree: tree["model"].update(image_size_px="512") or tree, "it is written in another form"),
        (lambda tree: [tree], "the whole: Input should be an object"),
    ],
)
def test_what_is_wrong_is_told(facts, change, told):
    tree = change(json.loads(facts_file(facts)))
    content = (json.dumps(tree, ensure_ascii=False, indent=1) + "\n").encode()
    assert facts_problems(content)[0].startswith(told)


def test_what_is_no_json_is_told(facts):
    assert facts_problems(b"[" * 100_000) == ["it is no JSON: RecursionError"]
    assert facts_problems(b"\xff") == ["it is no JSON: UnicodeDecodeError"]
    twice = facts_file(facts).replace(b'"format": 1,', b'"format": 1,\n "format": 1,', 1)
    assert facts_problems(twice) == ["an object in it has a name twice"]
