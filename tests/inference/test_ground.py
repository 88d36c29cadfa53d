"""From drawn images to answers: the truth of every test is where its blobs were drawn."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.dicom_study import write_ct_study
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.errors import DecodeError, QueryError, UsageError
from medground.schema.result import Answer, GroundingResult, Verdict
from tests.inference.blob_reader import CT, LIMB, SCOPE, BlobReader, trained
from tests.inference.drawn import drawn, write_ct_slice, write_dx, write_png, write_undecodable
from tests.inference.truth_reader import TruthReader
from tests.model.made_cases import one_case

LEFT_NODULE, RIGHT_NODULE, MIDLINE_NODULE = (380, 100, 420, 140), (60, 200, 100, 240), (246, 300, 266, 320)
FAINT_NODULE = (400, 330, 412, 342)  # small: the reader gives it 0.4
RIGHT_EFFUSION = (60, 380, 200, 460)


def ask(inputs: Sequence[Path], *queries: str, reader: BlobReader | None = None, **settings: float) -> GroundingResult:
    request = Request(queries, **settings)  # type: ignore[arg-type]  # the cases are data
    return ground(gather(inputs), request, reader or BlobReader()).result


def answer(path: Path, query: str, **settings: float) -> Answer:
    return ask([path], query, **settings).studies[0].answers[0]


def boxes(given: Answer) -> list[tuple[int, ...]]:
    return [tuple(round(v) for v in finding.box_xyxy_px) for finding in given.findings]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    return write_dx(folder / "a.dcm", drawn([LEFT_NODULE, RIGHT_NODULE, FAINT_NODULE, RIGHT_EFFUSION]))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("picture")
    return write_png(folder / "a.png", drawn([LEFT_NODULE, RIGHT_EFFUSION]))


def test_found(film: Path) -> None:
    given = answer(film, "find the lung nodule")
    assert given.verdict == Verdict.FOUND
    assert given.presence == 0.9
    assert boxes(given) == [RIGHT_NODULE, LEFT_NODULE, FAINT_NODULE]
    best = given.findings[1]
    assert (best.laterality, best.zone) == (Side.LEFT, Zone.UPPER)
    assert best.size_mm is not None
    assert best.size_mm.width == pytest.approx(20, abs=0.01)
    assert best.description.text == " ".join(statement.text for statement in best.description.statements)
    assert "left side" in best.description.text
    assert "upper zone" in best.description.text
    assert given.examined[0].frames == (1,)
    assert given.examined[0].sop_instance_uid == best.sop_instance_uid


def test_not_found_and_uncertain(film: Path, tmp_path: Path) -> None:
    absent = answer(film, "is there a pneumothorax?")
    assert (absent.verdict, absent.findings, absent.presence) == (Verdict.NOT_FOUND, (), 0.03)
    assert "synthetic images only" in absent.warnings[0]
    faint = answer(write_dx(tmp_path / "faint.dcm", drawn([FAINT_NODULE])), "nodule")
    assert (faint.verdict, boxes(faint), faint.presence) == (Verdict.UNCERTAIN, [FAINT_NODULE], 0.4)


def test_sides(film: Path) -> None:
    assert boxes(answer(film, "left lung nodule")) == [LEFT_NODULE, FAINT_NODULE]
    assert boxes(answer(film, "左肺有结节吗")) == [LEFT_NODULE, FAINT_NODULE]
    assert boxes(answer(film, "right lung nodule")) == [RIGHT_NODULE]
    right = answer(film, "right pleural effusion")
    assert (right.verdict, boxes(right)) == (Verdict.FOUND, [RIGHT_EFFUSION])
    left = answer(film, "left pleural effusion")
    assert (left.verdict, left.findings) == (Verdict.NOT_FOUND, ())
    assert left.presence == SCOPE.not_found_threshold  # the bound of what may have been missed


def test_the_mirrored_film_has_mirrored_sides(tmp_path: Path) -> None:
    mirrored = write_dx(tmp_path / "a.dcm", drawn([LEFT_NODULE]), PatientOrientation=["R", "F"])
    assert answer(mirrored, "right lung nodule").verdict == Verdict.FOUND
    assert answer(mirrored, "left lung nodule").verdict == Verdict.NOT_FOUND


def test_both_sides(film: Path) -> None:
    assert answer(film, "bilateral nodules").verdict == Verdict.FOUND
    one_sided = answer(film, "bilateral pleural effusions")
    assert one_sided.verdict == Verdict.NOT_FOUND
    assert one_sided.presence == SCOPE.not_found_threshold


def test_zones(film: Path) -> None:
    assert boxes(answer(film, "nodule in the upper zone")) == [LEFT_NODULE]
    assert boxes(answer(film, "nodule in the left lower zone")) == [FAINT_NODULE]
    assert answer(film, "effusion in the upper zone").verdict == Verdict.NOT_FOUND


def test_a_picture_settles_no_side(picture: Path) -> None:
    anywhere = answer(picture, "nodule")
    assert anywhere.verdict == Verdict.FOUND
    assert anywhere.findings[0].laterality is None
    assert anywhere.findings[0].zone is None
    assert anywhere.findings[0].size_mm is None
    left = answer(picture, "left lung nodule")
    assert (left.verdict, boxes(left)) == (Verdict.UNCERTAIN, [LEFT_NODULE])
    assert "cannot be told" in left.warnings[0]
    nowhere = answer(picture, "left pneumothorax")
    assert nowhere.verdict == Verdict.NOT_FOUND
    assert not any("cannot be told" in warning for warning in nowhere.warnings)


def test_on_the_midline_no_side_is_claimed(tmp_path: Path) -> None:
    given = answer(write_dx(tmp_path / "a.dcm", drawn([MIDLINE_NODULE])), "left lung nodule")
    assert given.verdict == Verdict.UNCERTAIN
    assert boxes(given) == [MIDLINE_NODULE]
    assert "midline" in given.warnings[0]


def test_relations(film: Path) -> None:
    assert boxes(answer(film, "uppermost nodule")) == [LEFT_NODULE]
    # The faint one is real with 0.4, and with 0.6 * 0.9 = 0.54 another is the lowest: too close to call.
    lowest = answer(film, "lowermost nodule")
    assert (lowest.verdict, set(boxes(lowest))) == (Verdict.UNCERTAIN, {FAINT_NODULE, RIGHT_NODULE})
    assert len(boxes(answer(film, "smallest nodule"))) == 3  # of the two that are not faint neither is the smaller
    alike = answer(film, "largest nodule", min_score=0.5)
    assert (alike.verdict, set(boxes(alike))) == (Verdict.UNCERTAIN, {LEFT_NODULE, RIGHT_NODULE})
    assert "about the same size" in alike.warnings[0]
    everything = answer(film, "largest nodule or effusion")
    assert boxes(everything) == [RIGHT_EFFUSION]


def test_an_order_that_cannot_be_told_is_not_guessed(picture: Path, tmp_path: Path) -> None:
    two = write_png(tmp_path / "b.png", drawn([LEFT_NODULE, FAINT_NODULE]))
    upper = answer(two, "uppermost nodule")
    assert (upper.verdict, len(upper.findings)) == (Verdict.UNCERTAIN, 2)
    assert "uppermost" in upper.warnings[0]
    assert boxes(answer(two, "largest nodule")) == [LEFT_NODULE]  # pixels of one image compare


def test_everything_and_everything_but(film: Path) -> None:
    anything = answer(film, "any abnormality?")
    assert set(boxes(anything)) == {LEFT_NODULE, RIGHT_NODULE, FAINT_NODULE, RIGHT_EFFUSION}
    other = answer(film, "anything other than a nodule?")
    assert boxes(other) == [RIGHT_EFFUSION]
    assert other.understood.negated


def test_limits(film: Path) -> None:
    one = answer(film, "nodule", max_boxes=1)
    assert len(one.findings) == 1
    strict = answer(film, "nodule", min_score=0.95)
    assert (strict.verdict, strict.findings) == (Verdict.UNCERTAIN, ())
    assert "no box reaches" in strict.warnings[0]
    some = answer(film, "nodule", top_k=1)
    kinds = [[statement.kind.value for statement in finding.description.statements] for finding in some.findings]
    assert ["appearance" in said for said in kinds] == [True, False, False]


def test_what_is_described_names_the_cases_it_looks_like(film: Path) -> None:
    cases = one_case(1, "nodule").joined(one_case(2, "nodule")).joined(one_case(3, "nodule", Domain.CHEST_CT))
    request = Request(("nodule",), top_k=2)
    result = ground(gather([film]), request, BlobReader(cases=cases)).result
    findings = result.studies[0].answers[0].findings
    named = [[one.case for one in finding.similar] for finding in findings]
    first_two = [one.id for one in cases.known[:2]]
    assert named == [first_two, first_two, []]
    assert [one.similarity for one in findings[0].similar] == pytest.approx([0.9, 0.8])
    assert GroundingResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize(
    "query", ["wrist fracture", "is there a pulmonary embolism?", "xyzzy", "brain tumour", "fracture", "脑出血"]
)
def test_questions_out_of_scope(film: Path, query: str) -> None:
    given = answer(film, query)
    assert (given.verdict, given.presence, given.findings, given.examined) == (Verdict.UNSUPPORTED, None, (), ())
    assert given.warnings


@pytest.mark.parametrize(
    "header",
    [
        {"Modality": "MR"},
        {"Modality": "US"},
        {"Modality": "MG", "BodyPartExamined": "BREAST"},
        {"BodyPartExamined": "HAND"},
        {"BodyPartExamined": "SKULL"},
    ],
)
def test_images_out_of_scope_by_their_header(tmp_path: Path, header: dict[str, str]) -> None:
    path = write_dx(tmp_path / "a.dcm", drawn([LEFT_NODULE]), **header)
    result = ask([path], "nodule", "pneumothorax", "any abnormality?")
    assert {given.verdict for given in result.studies[0].answers} == {Verdict.UNSUPPORTED}
    assert result.refused == ()


@pytest.mark.parametrize(
    "reader",
    [BlobReader(domain_probability=0.5), BlobReader(familiarity=0.0), BlobReader(domain=LIMB)],
    ids=["unsure", "unlike", "another kind"],
)
def test_images_out_of_scope_by_their_look(film: Path, reader: BlobReader) -> None:
    (given,) = ask([film], "nodule", reader=reader).studies[0].answers
    assert given.verdict == Verdict.UNSUPPORTED


def test_pixels_out_of_scope_are_not_even_read(tmp_path: Path) -> None:
    reader = BlobReader()
    (given,) = (
        ask([write_png(tmp_path / "a.png", drawn(rows=100, columns=300))], "nodule", reader=reader).studies[0].answers
    )
    assert given.verdict == Verdict.UNSUPPORTED
    assert "300 x 100" in given.warnings[0]
    assert reader.images_read == 0


def test_one_supported_image_of_a_study_answers(tmp_path: Path) -> None:
    write_dx(tmp_path / "chest.dcm", drawn([LEFT_NODULE]))
    write_dx(tmp_path / "skull.dcm", drawn([RIGHT_NODULE]), instance=2, BodyPartExamined="SKULL")
    (study,) = ask([tmp_path], "nodule").studies
    assert study.answers[0].verdict == Verdict.FOUND
    assert boxes(study.answers[0]) == [LEFT_NODULE]
    assert [Path(one.source).name for one in study.answers[0].examined] == ["chest.dcm"]


def test_what_was_only_partly_looked_for_is_not_denied(film: Path) -> None:
    given = answer(film, "pulmonary embolism or pneumothorax?")
    assert given.verdict == Verdict.UNCERTAIN
    assert any("pulmonary embolism was not looked for" in warning.lower() for warning in given.warnings)


def test_a_lateral_view_leaves_the_side_to_the_frontal_one(tmp_path: Path) -> None:
    write_dx(tmp_path / "frontal.dcm", drawn([LEFT_NODULE]))
    write_dx(tmp_path / "lateral.dcm", drawn([RIGHT_NODULE]), instance=2, PatientOrientation=["A", "F"])
    (study,) = ask([tmp_path], "left lung nodule", "nodule").studies
    assert boxes(study.answers[0]) == [LEFT_NODULE]
    assert len(study.answers[1].findings) == 2


def volume(folder: Path, lesions: dict[int, list[tuple[int, int, int, int]]], slices: int = 8) -> Path:
    for number in range(slices):
        # File names and instance numbers run against the order of position.
        path = folder / f"{slices - number}.dcm"
        write_ct_slice(path, drawn(lesions.get(number, [])), z_mm=2.5 * number, instance=slices - number)
    return folder


def test_a_nodule_through_a_ct_is_one_finding(tmp_path: Path) -> None:
    low, high = (100, 100, 130, 130), (102, 100, 142, 140)
    folder = volume(tmp_path, {2: [low], 3: [high], 4: [low], 6: [(400, 300, 420, 320)]})
    (study,) = ask([folder], "lung nodule", "left lung nodule", reader=BlobReader(domain=CT)).studies
    given = study.answers[0]
    assert given.verdict == Verdict.FOUND
    assert len(given.findings) == 2
    through = next(finding for finding in given.findings if finding.extent and len(finding.extent.slices) == 3)
    assert through.extent is not None
    assert through.laterality == Side.RIGHT
    assert through.size_mm is not None
    assert through.size_mm.depth == pytest.approx(7.5)
    _, _, z1, _, _, z2 = through.extent.box_lps_mm
    assert (z1, z2) == pytest.approx((5 - 1.25, 10 + 1.25))
    assert [part.box_xyxy_px[0] for part in through.extent.slices] == pytest.approx([100, 102, 100], abs=0.01)
    assert len({part.sop_instance_uid for part in through.extent.slices}) == 3
    assert len(given.examined) == 8
    assert [round(finding.box_xyxy_px[0]) for finding in study.answers[1].findings] == [400]


def test_lesions_of_the_phantom_ct_are_linked_into_their_true_extent(tmp_path: Path) -> None:
    phantom = chest_ct(9_000_001, size_px=128, slices=24, findings=["nodule", "nodule", "mass"])
    write_ct_study(phantom, tmp_path)
    truth: list[list[tuple[str, Box]]] = [[] for _ in phantom.hu]
    for region in phantom.regions3d:
        for number, box in region.boxes.items():
            truth[number].append((region.concept, box))
    (study,) = ask([tmp_path], "nodule", "mass", reader=TruthReader(truth, CT)).studies
    step_mm, row_mm, column_mm = phantom.spacing_mm
    for given, concept in zip(study.answers, ("nodule", "mass"), strict=True):
        true = [region for region in phantom.regions3d if region.concept == concept]
        expected = sorted((min(r.boxes) * step_mm, max(r.boxes) * step_mm, r.side, len(r.boxes)) for r in true)
        got = []
        for finding in given.findings:
            assert finding.extent is not None
            _, _, low, _, _, high = finding.extent.box_lps_mm
            got.append((low + step_mm / 2, high - step_mm / 2, finding.laterality, len(finding.extent.slices)))
            assert finding.size_mm is not None
            x1, y1, x2, y2 = finding.box_xyxy_px
            assert finding.size_mm.width == pytest.approx((x2 - x1) * column_mm, rel=1e-4)
            assert finding.size_mm.height == pytest.approx((y2 - y1) * row_mm, rel=1e-4)
            assert finding.size_mm.depth == pytest.approx(high - low, rel=1e-4)
        for (low, high, side, slices), (true_low, true_high, true_side, true_slices) in zip(
            sorted(got), expected, strict=True
        ):
            assert (low, high) == pytest.approx((true_low, true_high), abs=0.01)
            assert (side, slices) == (true_side, true_slices)


@pytest.mark.parametrize(("usual", "verdict"), [(2, Verdict.UNSUPPORTED), (3, Verdict.FOUND)])
def test_a_volume_needs_a_share_of_slices_within_scope(tmp_path: Path, usual: int, verdict: Verdict) -> None:
    folder = volume(tmp_path, {0: [LEFT_NODULE], 7: [RIGHT_NODULE]})  # 2 of 8 slices are less than 30%, 3 are more
    (given,) = ask([folder], "nodule", reader=BlobReader(domain=CT, usual=usual)).studies[0].answers
    assert given.verdict == verdict
    if verdict == Verdict.FOUND:
        assert boxes(given) == [LEFT_NODULE]  # nothing from the slices that were taken for something else
        assert len(given.examined) == 3


def test_an_image_that_cannot_be_decoded_is_refused_and_the_rest_answered(tmp_path: Path) -> None:
    write_dx(tmp_path / "good.dcm", drawn([LEFT_NODULE]))
    write_undecodable(tmp_path / "jpeg.dcm", instance=2)
    write_dx(tmp_path / "bits.dcm", drawn(), instance=3, BitsAllocated=13)
    result = ask([tmp_path], "nodule")
    assert sorted(Path(refusal.source).name for refusal in result.refused) == ["bits.dcm", "jpeg.dcm"]
    (study,) = result.studies
    assert study.answers[0].verdict == Verdict.FOUND
    assert any("1 image(s)" in warning for warning in study.warnings)


def test_when_nothing_decodes_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"jpeg\.dcm"):
        ask([write_undecodable(tmp_path / "jpeg.dcm")], "nodule")


def test_ids_do_not_depend_on_names_or_order(tmp_path: Path) -> None:
    first = write_dx(tmp_path / "one" / "a.dcm", drawn([LEFT_NODULE]))
    second = write_png(tmp_path / "one" / "b.png", drawn([RIGHT_NODULE]))
    other = tmp_path / "two"
    other.mkdir()
    shutil.copy(first, other / "z.dcm")
    shutil.copy(second, other / "x.png")
    here = ask([first, second], "nodule", "effusion")
    there = ask([other / "x.png", other / "z.dcm"], "nodule", "effusion")
    assert here.result_id == there.result_id

    def ids(result: GroundingResult) -> dict[str, list[str]]:
        return {a.id: [f.id for f in a.findings] for study in result.studies for a in study.answers}

    assert ids(here) == ids(there)
    assert len(ids(here)) == 4
    assert len([finding for found in ids(here).values() for finding in found]) == 2
    changed = ask([first, second], "nodule", "effusion", reader=BlobReader(sha256="1" * 64))
    assert not set(ids(here)) & set(ids(changed))
    assert here.result_id != ask([first, second], "nodule", "effusion", min_score=0.3).result_id


def test_the_report_has_a_rule_for_every_finding(film: Path) -> None:
    (study,) = ask([film], "any abnormality?", "pneumothorax").studies
    assert study.report.number_of_findings == 4
    assert not study.report.nothing_above_threshold
    ids = [finding.id for finding in study.answers[0].findings]
    assert [advice.finding_id for advice in study.report.recommendations] == ids
    (empty,) = ask([film], "pneumothorax").studies
    assert (empty.report.number_of_findings, empty.report.nothing_above_threshold) == (0, True)


def test_each_image_is_read_once_and_progress_is_told(film: Path, picture: Path) -> None:
    reader, told = BlobReader(), []
    request = Request(("nodule", "effusion", "nodule?"))
    ground(gather([film, picture]), request, reader, progress=lambda done, total: told.append((done, total)))
    assert reader.images_read == 2
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_bad_requests(film: Path) -> None:
    for bad in ("", "   ", "?!", "x" * 10_000):
        with pytest.raises(QueryError):
            ask([film], bad)
    for wrong in ({"min_score": 1.5}, {"min_score": -0.1}, {"max_boxes": 0}, {"top_k": -1}):
        with pytest.raises(UsageError):
            ask([film], "nodule", **wrong)
    with pytest.raises(UsageError):
        Request(())


def test_scope_decides_and_not_the_reader(film: Path) -> None:
    narrow = SCOPE.model_copy(update={"trained": (trained("pneumothorax", SCOPE.trained[0].domain),)})
    (given,) = ask([film], "nodule", reader=BlobReader(scope=narrow)).studies[0].answers
    assert given.verdict == Verdict.UNSUPPORTED
