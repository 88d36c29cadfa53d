from __future__ import annotations

from collections import Counter

import pytest

from medground.data.vocabulary import load_vocabulary
from medground.inference.understand import understand
from medground.schema.result import Verdict
from pipelines.scope_check import LIST, Pair, is_wrong, load_pairs, main, make


def test_the_list_is_what_it_claims_to_be():
    pairs = load_pairs(LIST)
    assert Counter(pair.in_scope for pair in pairs) == {True: 60, False: 60}
    headerless = [pair for pair in pairs if not pair.in_scope and pair.given == "jpeg"]
    assert len(headerless) == 30
    assert len(set(pairs)) == len(pairs)


def test_questions_in_scope_name_something_the_vocabulary_knows():
    vocabulary = load_vocabulary()
    for pair in load_pairs(LIST):
        if pair.in_scope:
            question = understand(pair.question, vocabulary)
            assert question.phrases or question.everything, pair.question


@pytest.mark.real_data
def test_every_named_file_is_there(shared_data):
    for pair in load_pairs(LIST):
        if ":" not in pair.image:
            assert (shared_data / pair.image).is_file(), pair.image


@pytest.mark.parametrize(
    ("in_scope", "wrong"),
    [
        (False, {Verdict.FOUND, Verdict.NOT_FOUND}),
        (True, {Verdict.UNSUPPORTED}),
    ],
)
def test_what_counts_as_wrong(in_scope, wrong):
    pair = Pair("x", "as-is", "?", in_scope)
    assert {verdict for verdict in Verdict if is_wrong(pair, verdict)} == wrong


def test_images_are_made_as_the_list_says(tmp_path):
    (film,) = make(Pair("phantom:8000000", "as-is", "?", True), tmp_path, tmp_path)
    assert film.suffix == ".dcm"
    (plain,) = make(Pair("phantom:8000000", "jpeg", "?", True), tmp_path, tmp_path)
    assert plain.read_bytes()[:3] == b"\xff\xd8\xff"
    assert len(make(Pair("ct:1", "as-is", "?", True), tmp_path, tmp_path / "ct")) > 10


@pytest.mark.slow
def test_generated_strangers_are_answered_unsupported(tmp_path, capsys):
    lines = ["scope,image,given,question"]
    lines += [f"out,stranger:{seed},jpeg,lung nodule?" for seed in range(7_000_000, 7_000_004)]
    lines += ["out,phantom:8000000,as-is,pulmonary embolism?", "in,phantom:8000021,as-is,is there a pneumothorax?"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    assert main(["--pairs", str(tmp_path / "pairs.csv"), "--allow-unsupported", "0"]) == 0
    assert "out of scope: found 0, not_found 0, uncertain 0, unsupported 5; wrong 0" in capsys.readouterr().out
