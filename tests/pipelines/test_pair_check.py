from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import pytest

from medground.data.pairs.facts import Facts
from medground.data.pairs.write import phrasings, write_pairs
from medground.data.verify.check import Verifier
from medground.data.verify.grammar import Form, Grammar
from medground.data.vocabulary import load_vocabulary
from medground.inference.understand import understand
from medground.schema.pair import PairKind
from pipelines.pair_check import Tally, main, phantoms, real_records, run, table
from pipelines.pair_corruptions import Corruptor

KINDS = {"side", "zone", "class", "size", "count", "relation", "order", "negation", "appearance", "targets"}


@pytest.fixture(scope="module")
def written():
    """Pairs of twenty phantoms, each with its record."""
    vocabulary, rng = load_vocabulary(), np.random.default_rng(3)
    records = list(itertools.islice(phantoms(), 20))
    return [(pair, record) for record in records for pair in write_pairs(record, vocabulary, rng)]


@pytest.mark.real_data
def test_three_thousand_pairs_are_true_and_five_hundred_corrupted_ones_are_not(shared_data):
    tally, kept = run(real_records(shared_data), 3000, 500, seed=1)
    assert tally.rejected == []
    assert tally.missed == []
    assert dict(tally.pairs) == {"nih-chestxdet": 1000, "fracatlas": 1000, "phantom": 1000}
    assert tally.corrupted.total() == tally.caught.total() == 500
    assert set(tally.corrupted) == KINDS
    assert set(tally.kinds) == {kind.value for kind in PairKind}
    assert set(tally.fewest.values()) == {10}
    assert len(tally.fewest) == 6
    assert {pair.language for pair, _ in kept} == {"en", "zh"}


def test_every_kind_of_corruption_changes_a_pair_and_is_caught_for_what_it_is(written):
    vocabulary = load_vocabulary()
    verifier, corruptor = Verifier(vocabulary), Corruptor(vocabulary, np.random.default_rng(0))
    made: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for pair, record in written:
        assert verifier.faults(pair, record) == ()
        for kind, corrupt in corruptor.kinds.items():
            false = corrupt(pair, Facts(record, vocabulary))
            if false is not None:
                assert false != pair
                faults = verifier.faults(false, record)
                assert faults, (kind, pair, false)
                made[kind] += 1
                unread[kind] += all(fault.kind == "not understood" for fault in faults)
    assert set(made) == KINDS
    # a verifier that rejects what it can't read would catch anything: nearly all must be read and found false
    assert unread.total() <= 0.05 * made.total(), unread


def test_a_large_heart_has_no_size_to_corrupt(written):
    corruptor = Corruptor(load_vocabulary(), np.random.default_rng(0))
    pair, record = next((p, r) for p, r in written if p.kind is PairKind.ABSENT and p.language == "en")
    asked = pair.model_copy(update={"question": "is there a large heart?", "kind": PairKind.PRESENT, "statements": ()})
    assert corruptor.kinds["size"](asked, Facts(record, load_vocabulary())) is None


def test_ten_phrasings_differ_and_all_ask_for_the_region():
    vocabulary, rng = load_vocabulary(), np.random.default_rng(0)
    verifier = Verifier(vocabulary)
    for record in itertools.islice(phantoms(), 8):
        for index, _ in enumerate(record.regions):
            for language in ("en", "zh"):
                pairs = phrasings(record, vocabulary, index, language, rng, 10)
                assert len({pair.question for pair in pairs}) == 10
                assert all(index in pair.targets and verifier.faults(pair, record) == () for pair in pairs)


@pytest.mark.parametrize("toward_left", [1, -1])
def test_sides_follow_the_patient_where_only_the_header_says_which_way_the_image_lies(toward_left):
    """Without the phantom's own sides: an image turned over is asked about in the same words, but by other boxes."""
    vocabulary = load_vocabulary()
    verifier = Verifier(vocabulary)
    sided = 0
    for record in itertools.islice(phantoms(), 20):
        width = record.columns
        regions = [region.model_copy(update={"side": None}) for region in record.regions]
        if toward_left < 0:
            turned = [{"x1": width - r.box.x2, "x2": width - r.box.x1} for r in regions]
            regions = [
                region.model_copy(update={"box": region.box.model_copy(update=box)})
                for region, box in zip(regions, turned, strict=True)
            ]
        lying = record.model_copy(update={"regions": tuple(regions), "columns_toward_left": toward_left})
        for pair in write_pairs(lying, vocabulary, np.random.default_rng(0)):
            assert verifier.faults(pair, lying) == ()
            if re.search(r"\b(left|right)\b|[左右]侧", pair.question):
                sided += 1
                mirrored = lying.model_copy(update={"columns_toward_left": -toward_left})
                assert verifier.faults(pair, mirrored), pair.question
    assert sided > 100


def test_the_questions_read_well(written):
    questions = [pair.question for pair, _ in written if pair.language == "en"]
    statements = [s.text for pair, _ in written for s in pair.statements if s.language == "en"]
    for text in (*questions, *statements):
        assert not re.search(r"\b(the|a|an|any|all) (the|a|an|any)\b", text), text
        assert not re.search(r"\ban? (fluid|air|nodules|fractures|masses|consolidation)\b", text), text
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text
        assert not re.search(r"  |\{|\}", text), text
    for pair, _ in written:
        if pair.language == "zh":
            assert not re.search(r"肺肺|的的|处处|双肺双|[a-z{}]", pair.question), pair.question


def test_the_parser_of_questions_at_inference_reads_the_same(written):
    """A third reading, by the room that answers users: it may miss a word, but never takes it for its opposite."""
    vocabulary = load_vocabulary()
    grammars = {language: Grammar(vocabulary, language) for language in ("en", "zh")}
    said: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for pair, _ in written:
        asked, read = grammars[pair.language].question(pair.question), understand(pair.question, vocabulary).understood
        assert not isinstance(asked, str)
        if asked.form is Form.RELATION:  # read as a question for both findings
            continue
        for part, own, other in (
            ("concept", asked.what.concept, read.concepts[0] if len(read.concepts) == 1 else None),
            ("side", asked.what.side, read.side),
            ("zone", asked.what.zone, read.zone),
            ("order", asked.word if asked.form is Form.ORDER else None, read.relation),
            ("negation", asked.form is Form.OTHERS or None, read.negated or None),
        ):
            said[part] += own is not None
            agreed[part] += own is not None and own == other
            assert own is None or other is None or own == other, pair.question
    shares = {part: agreed[part] / said[part] for part in said}
    assert all(shares[part] > 0.95 for part in ("concept", "side", "zone")), shares


def test_the_table_says_what_was_missed():
    tally = Tally(pairs=Counter(a=2), corrupted=Counter(side=3), caught=Counter(side=2), fewest={("a", "en"): 10})
    assert not tally.is_good
    assert "| side | 3 | 2 | 0 |" in table(tally)
    assert Tally(corrupted=Counter(side=3), caught=Counter(side=3)).is_good
    assert not Tally(rejected=["x"]).is_good
    assert not Tally(fewest={("a", "en"): 9}).is_good


@pytest.mark.real_data
def test_the_command_prints_a_sample_and_writes_its_page(shared_data, tmp_path, capsys):
    page = tmp_path / "docs" / "pair_check.md"
    given = ["--data", str(shared_data), "--pairs", "90", "--corruptions", "20", "--sample", "7", "--write", str(page)]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert "Pairs: 90, rejected by the verifier: 0" in printed
    assert page.read_text(encoding="utf-8").count("\n| ") == printed.count("\n| ")
    assert printed.split("described |")[1].count("\n|") == 1 + 7


def test_missing_data_is_said(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--pairs", "9"]) != 0
    assert "error: " in capsys.readouterr().err
