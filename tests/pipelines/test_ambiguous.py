from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medground.data.ambiguous.cases import ambiguous_case, decidable_seeds, undecidable_seeds
from medground.inference.gather import gather
from medground.schema.result import Verdict
from pipelines.ambiguous import TruthReader, ask, judged, main, measure, sheet, worst, write_case
from pipelines.ambiguous_scores import (
    AmbiguousReport,
    Asked,
    Outcome,
    outcome_of,
    score,
    to_markdown,
    wilson,
)
from pipelines.worst_cases import PREDICTED, TILE_PX, TRUTH

A, B, C = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 90.0, 90.0), (200.0, 0.0, 220.0, 20.0)
NEAR_A = (0.0, 0.0, 10.0, 20.0)  # half of it is A
OFF_A = (0.0, 0.0, 10.0, 20.1)


@pytest.mark.parametrize(
    ("shown", "meant", "outcome"),
    [
        ([A], [A], Outcome.RESOLVED),
        ([B, A], [A, B], Outcome.RESOLVED),
        ([NEAR_A], [A], Outcome.RESOLVED),
        ([OFF_A], [A], Outcome.WRONG),
        ([A], [A, B], Outcome.PARTLY),  # one is missing
        ([A, NEAR_A], [A], Outcome.PARTLY),  # one is shown twice
        ([A, NEAR_A], [A, B], Outcome.PARTLY),
        ([A, C], [A], Outcome.WRONG),  # one too many
        ([C], [A], Outcome.WRONG),
        ([A, B], [], Outcome.WRONG),  # nothing could be known
    ],
)
def test_what_an_answer_that_finds_something_comes_to(shown, meant, outcome):
    assert outcome_of(Verdict.FOUND, shown, meant) == outcome


def test_other_verdicts_stand_for_themselves_whatever_is_shown():
    assert outcome_of(Verdict.UNCERTAIN, [A], [A]) == Outcome.UNCERTAIN
    assert outcome_of(Verdict.NOT_FOUND, [], [A]) == Outcome.NOT_FOUND
    assert outcome_of(Verdict.UNSUPPORTED, [], []) == Outcome.UNSUPPORTED


def slow_limit(hits, n, end):
    """Where the score test just rejects: |share - p| = z sqrt(p (1 - p) / n), by halving."""
    share, inner, outer = hits / n, hits / n, end
    for _ in range(60):
        p = (inner + outer) / 2
        inside = (share - p) ** 2 * n <= 1.959964**2 * p * (1 - p)
        inner, outer = (p, outer) if inside else (inner, p)
    return inner


@pytest.mark.parametrize(("hits", "n"), [(1, 7), (50, 100), (299, 300), (0, 12), (12, 12)])
def test_wilson_limits_are_where_the_score_test_rejects(hits, n):
    share = wilson(hits, n)
    assert share.low == pytest.approx(slow_limit(hits, n, 0.0), abs=1e-9)
    assert share.high == pytest.approx(slow_limit(hits, n, 1.0), abs=1e-9)


def test_of_nothing_there_is_no_share():
    share = wilson(0, 0)
    assert (share.low, share.high, share.n) == (None, None, 0)


def asked(seed, outcome, *, kind="size", language="en", doubt=None) -> Asked:
    return Asked(
        seed=seed,
        language=language,
        kind=kind,
        form="largest",
        doubt=doubt,
        concepts=("nodule",),
        question="the largest nodule" if language == "en" else "最大的结节",
        meant=() if doubt else ((100.0, 100.0, 150.0, 150.0),),
        shown=((300.0, 300.0, 400.0, 400.0),),
        outcome=outcome,
    )


ASKED = [
    asked(1, Outcome.RESOLVED),
    asked(2, Outcome.WRONG),
    asked(3, Outcome.PARTLY, language="zh"),
    asked(4, Outcome.UNCERTAIN, kind="rank"),
    asked(5, Outcome.WRONG, doubt="near tie"),
    asked(6, Outcome.UNCERTAIN, doubt="near tie"),
    asked(7, Outcome.UNSUPPORTED, doubt="not shown", language="zh"),
    asked(8, Outcome.NOT_FOUND, doubt="not shown"),
]


def test_answers_are_counted_by_kind_and_language():
    scored = score("system", ASKED)
    rows = {(row.name, row.language): row for row in (*scored.decidable, *scored.undecidable[:-3])}
    assert (rows["size", "both"].right.hits, rows["size", "both"].right.n) == (1, 3)
    assert (rows["size", "en"].right.hits, rows["size", "en"].wrong.hits, rows["size", "en"].right.n) == (1, 1, 2)
    assert rows["size", "zh"].outcomes[Outcome.PARTLY] == 1
    assert rows["rank", "both"].right.hits == 0  # an open verdict resolves nothing
    assert rows["rank", "zh"].right.low is None
    assert (rows["all", "both"].right.hits, rows["all", "both"].right.n) == (1, 4)
    assert (rows["near tie", "both"].right.hits, rows["near tie", "both"].wrong.hits) == (1, 1)
    assert (rows["not shown", "both"].right.hits, rows["not shown", "both"].right.n) == (1, 2)
    last = scored.undecidable[-1]
    assert (last.name, last.language, last.right.hits, last.right.n) == ("all", "both", 2, 4)
    assert (last.outcomes[Outcome.UNCERTAIN], last.outcomes[Outcome.UNSUPPORTED]) == (1, 1)
    assert (scored.wrong.hits, scored.wrong.n) == (2, 8)


def test_the_report_says_how_it_was_asked_and_gives_intervals():
    text = to_markdown(AmbiguousReport(plain=False, systems=(score("one", ASKED),)))
    assert "Wrong found, of everything asked: 0.250 [0.071, 0.591] (2/8)" in text
    assert "| rank | zh | - | - | 0 | 0 | 0 | 0 |" in text
    assert "as it was written" in text
    assert "the best box of each" in to_markdown(AmbiguousReport(plain=True, systems=()))


def test_the_worst_come_first_and_what_is_right_is_left_out():
    assert [one.seed for one in worst(ASKED)] == [2, 5, 3, 8, 4]
    assert [one.seed for one in worst(ASKED, tiles=2)] == [2, 5]


def test_the_sheet_shows_what_was_meant_and_what_was_shown():
    faults = [asked(7_000_000, Outcome.WRONG), asked(7_000_001, Outcome.WRONG, language="zh")]
    picture = np.asarray(sheet(faults))
    assert picture.shape[1] == 2 * TILE_PX
    scale, top = (TILE_PX - 4) / 512, 28
    for left in (2, TILE_PX + 2):
        assert tuple(picture[round(top + 125 * scale), round(left + 100 * scale - 1)]) == TRUTH
        assert tuple(picture[round(top + 350 * scale), round(left + 300 * scale)]) == PREDICTED


def test_films_are_given_as_dicom_and_pictures_without_header(tmp_path):
    for seed in (decidable_seeds(1)[0], undecidable_seeds(3)[2]):
        case = ambiguous_case(seed)
        path = write_case(case, tmp_path)
        (study,) = gather([path]).studies
        (view,) = study.groups[0].views
        assert (view.header is None) == case.as_picture == (path.suffix == ".png")
        np.testing.assert_allclose(view.display(), case.image.pixels, atol=1 / 255)


def test_the_reader_that_is_told_the_truth_is_asked_end_to_end(tmp_path, capsys):
    assert main(["--data-free", "--cases", "12", "--undecidable", "6", "--threads", "1", "--out", str(tmp_path)]) == 0
    report = AmbiguousReport.model_validate_json((tmp_path / "ambiguous.json").read_bytes())
    (scored,) = report.systems
    assert scored.system.startswith("truth")
    assert (scored.decidable[-1].right.n, scored.undecidable[-1].right.n) == (12, 6)
    outcomes = {one.seed: one.outcome for one in scored.asked}
    for one in scored.asked:
        case = ambiguous_case(one.seed)
        assert (one.question, one.doubt) == (case.question, case.doubt)
        assert one.meant == tuple(case.image.regions[index].box.xyxy_px for index in case.meant)
        if one.kind in ("side", "zone", "size", "height") and one.decidable:
            assert one.outcome == Outcome.RESOLVED, one.question
        if one.doubt in ("no orientation", "no zone"):
            assert one.outcome == Outcome.UNCERTAIN, one.question
    assert outcomes.keys() == {*decidable_seeds(12), *undecidable_seeds(6)}
    assert "## truth" in capsys.readouterr().out
    assert (tmp_path / "ambiguous.md").read_text().count("| all | both |") == 2
    faults = any(not one.right for one in scored.asked)
    assert (tmp_path / "ambiguous-worst-truth.png").exists() == faults
    if faults:
        with Image.open(tmp_path / "ambiguous-worst-truth.png") as drawn:
            assert drawn.height > TILE_PX


def test_without_disambiguation_the_best_box_of_each_named_finding_is_shown():
    seeds = [*decidable_seeds(9)[::8], *undecidable_seeds(3)]  # the ninth joins two findings
    (answers,) = measure(seeds, [TruthReader()], plain=True)
    assert [len(one.shown) for one in answers] == [1, 2, 1, 1, 1]
    assert {one.outcome for one in answers if not one.decidable} == {Outcome.WRONG}
    for one in answers:
        case = ambiguous_case(one.seed)
        of_concept = [r.box.xyxy_px for r in case.image.regions if r.concept in case.concepts]
        assert set(one.shown) <= set(of_concept)


def test_a_reader_that_is_told_another_film_shows_what_was_not_meant(tmp_path):
    case, other = (ambiguous_case(seed) for seed in decidable_seeds(10)[::9])  # both ask for a side
    reader = TruthReader()
    reader.image = case.image
    path = write_case(case, tmp_path)
    verdict, shown = ask(case, reader, path)
    assert verdict == Verdict.FOUND
    assert set(shown) == {case.image.regions[index].box.xyxy_px for index in case.meant}
    reader.image = other.image
    assert judged(case, reader, path, plain=False).outcome != Outcome.RESOLVED
