"""`huggingface_hub` is the judge: it reads the front matter, and finds the numbers of the facts."""

from __future__ import annotations

import pytest
import yaml
from huggingface_hub import ModelCard

from medground.cards.forms.hugging_face import readme_of, readme_problems
from medground.cards.rounding import shown
from tests.cards.forms.numbers import figures


def test_the_hub_reads_the_numbers_of_the_facts(facts):
    card = ModelCard(readme_of(facts).decode())
    assert card.data.model_name == facts.model.name
    read = [
        (
            r.metric_value,
            r.metric_args["low"],
            r.metric_args["high"],
            r.metric_args.get("boxes") or r.metric_args["questions"],
        )
        for r in card.data.eval_results
    ]
    assert sorted(read) == figures(facts)
    assert {r.metric_args["level"] for r in card.data.eval_results} == {0.95}


def test_names_say_interval_and_n(facts):
    nodule = facts.evaluations[0].concepts[1]
    names = {r.metric_name for r in ModelCard(readme_of(facts).decode()).data.eval_results if r.dataset_type == "films"}
    low, high = shown(nodule.ap50.low), shown(nodule.ap50.high)
    assert f"AP at 0.5, nodule (95% interval {low} to {high}; n = 4 images, 2 boxes)" in names
    error = facts.evaluations[0].absent_error
    low, high = shown(error.low), shown(error.high)
    assert f'absent findings answered "found", all findings (95% interval {low} to {high}; n = 5 questions)' in names


def test_front_matter_as_the_hub_knows_it(facts):
    data = ModelCard(readme_of(facts).decode()).data
    assert (data.license, data.language, data.library_name) == ("apache-2.0", ["en", "zh"], "medground")
    assert data.pipeline_tag == "zero-shot-object-detection"
    assert "chest-radiograph" in data.tags
    assert "FracAtlas" in data.datasets
    assert set(data.metrics) == {r.metric_type for r in data.eval_results}
    assert {r.dataset_name for r in data.eval_results} == {"four films", "ten <phantoms> & more (synthetic)"}


def test_a_licence_that_the_hub_does_not_know_keeps_its_name(facts):
    own = facts.model_copy(update={"model": facts.model.model_copy(update={"licence": "Hospital: inside only"})})
    data = ModelCard(readme_of(own).decode()).data
    assert (data.license, data.license_name) == ("other", "Hospital: inside only")
    assert readme_problems(readme_of(own)) == []


def test_the_text_points_to_the_card(facts):
    text = ModelCard(readme_of(facts).decode()).text
    assert "[MODEL_CARD.md](MODEL_CARD.md)" in text
    assert facts.regulatory in text
    assert len(text) < 4000


def test_a_model_that_was_not_measured_has_no_index(bare):
    content = readme_of(bare)
    data = ModelCard(content.decode()).data
    assert (data.get("model-index"), data.eval_results, data.metrics) == (None, None, [])
    assert readme_problems(content) == []


def test_numbers_survive_whatever_their_size(facts):
    one = facts.evaluations[0]
    tiny = one.model_copy(update={"ece": one.ece.model_copy(update={"value": 1e-05, "low": 2.5e-17, "high": 1e22})})
    content = readme_of(facts.model_copy(update={"evaluations": (tiny,)}))
    front = yaml.safe_load(content.decode().split("---\n")[1])
    (ece,) = [m for m in front["model-index"][0]["results"][0]["metrics"] if m["type"] == "expected_calibration_error"]
    assert (ece["value"], ece["args"]["low"], ece["args"]["high"]) == (1e-05, 2.5e-17, 1e22)
    assert readme_problems(content) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("license:", "licence:", "license: Field required"),
        ("value: 1.0", 'value: "1.0"', "model-index.0.results.0.metrics.1.value: Input should be a valid number"),
        ("value: 1.0", "value:  1.0", "its front matter is written in another form"),
        ("---\nlicense", "\n---\nlicense", "it does not begin with front matter, or nothing follows it"),
        ("library_name:", "library_name: [", "it has no front matter that can be read: ParserError"),
    ],
)
def test_what_is_wrong_is_told(facts, old, new, told):
    content = readme_of(facts)
    assert readme_problems(content) == []
    assert readme_problems(content.replace(old.encode(), new.encode(), 1))[0] == told


def test_what_is_no_readme_is_told():
    for content in (b"", b"\xff", b"---\n---\n", b"---\n" + b"[" * 5000 + b"\n---\nx"):
        assert readme_problems(content) != []
