from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from medground.imaging.preprocess import mirrored, prepare
from medground.model.calibration import Curve
from medground.model.cases import Cases, case_id
from medground.model.grounder import DESCRIBED_AT_ONCE, LEAST_CERTAIN_WORD, Grounder
from medground.model.reading import LookGroup, Phrase, Portrait
from medground.model.scope import RARE_REAL_BOXES
from medground.schema.anatomy import DOMAINS
from tests.model.made_cases import one_case

NODULE, MASS = Phrase("nodule", "nodule"), Phrase("mass", "mass")


@pytest.fixture
def image():
    return prepare(np.random.default_rng(1).random((140, 180), dtype=np.float32), 128)


def read(grounder, image, phrases, **limits):
    settings = {"max_boxes": 30, "min_score": 0.0, **limits}
    return grounder.read([image], phrases, **settings)[0]


class Batches:
    """Stands before a backbone's `describe` and keeps what each call was given."""

    def __init__(self, describe):
        self.describe, self.calls = describe, []

    def __call__(self, regions_NCSS, *, allowed=None):
        self.calls.append((len(regions_NCSS), allowed))
        return self.describe(regions_NCSS, allowed=allowed)


@pytest.fixture
def sure(bundle, image):
    """The bundle with a describer that is sure of what it says, of each region something else."""
    network = copy.deepcopy(bundle.network)
    regions = torch.stack([region for region, _, _ in regions_of(read(Grounder(bundle), image, [NODULE, MASS]))])
    first = network.backbone.describer_region[0]
    first.weight *= 1000  # untrained, it hardly tells regions apart
    first.bias.copy_(-first.weight @ regions.flatten(1).mean(0))
    network.backbone.describer.out.weight *= 40
    network.backbone.describe = Batches(network.backbone.describe)
    return replace(bundle, network=network)


def told_apart(bundle, words):
    """The bundle with only some words seen with some classes."""
    trained = tuple(one.model_copy(update={"words": words.get(one.concept, ())}) for one in bundle.scope.trained)
    return replace(bundle, scope=bundle.scope.model_copy(update={"trained": trained}))


def regions_of(reading):
    return [(c.region, heard.phrase.concept, reading.domain) for heard in reading.phrases for c in heard.candidates]


@torch.inference_mode()
def words_one_by_one(grounder, image, phrases, domain):
    """Phrase by phrase and box by box from the pyramid, with no batch and nothing kept in between."""
    network = grounder.bundle.network
    pixels = image.pixels_HW[None, None].contiguous(memory_format=torch.channels_last)
    pyramid = network.backbone.look(pixels)
    raws, _ = grounder.raw(image, phrases, max_boxes=30)
    said = []
    for phrase, raw in zip(phrases, raws, strict=True):
        entry = grounder.scope.find(phrase.concept, domain)
        for box_14 in raw.frame_boxes_N4.split(1):
            region = network.to_describe(pyramid, box_14, torch.zeros(1, dtype=torch.int64))
            (words,) = network.backbone.describe.describe(region, allowed=entry.words or None)
            said.append(tuple(s.text for s in words if s.probability >= LEAST_CERTAIN_WORD))
    return said


def test_boxes_lie_inside_the_stored_image_best_first(bundle, image):
    reading = read(Grounder(bundle), image, [NODULE, MASS])
    assert [p.phrase for p in reading.phrases] == [NODULE, MASS]
    for phrase in reading.phrases:
        scores = [c.score for c in phrase.candidates]
        assert scores == sorted(scores, reverse=True)
        assert 0 <= phrase.presence <= 1
        for candidate in phrase.candidates:
            x1, y1, x2, y2 = candidate.box_xyxy_px
            assert 0 <= x1 < x2 <= 180
            assert 0 <= y1 < y2 <= 140


def test_a_phrase_is_read_the_same_alone_and_in_company(bundle, image):
    grounder = Grounder(bundle)
    alone = read(grounder, image, [MASS]).phrases[0]
    together = read(grounder, image, [NODULE, MASS]).phrases[1]
    assert together.presence == pytest.approx(alone.presence, abs=1e-5)
    assert len(together.candidates) == len(alone.candidates)
    for one, two in zip(together.candidates, alone.candidates, strict=True):
        assert one.box_xyxy_px == pytest.approx(two.box_xyxy_px, abs=1e-2)
        assert one.score == pytest.approx(two.score, abs=1e-5)


def test_limits_hold(bundle, image):
    grounder = Grounder(bundle)
    assert len(read(grounder, image, [NODULE], max_boxes=4).phrases[0].candidates) <= 4
    assert read(grounder, image, [NODULE], min_score=1.0).phrases[0].candidates == ()
    reading = read(grounder, image, [])
    assert reading.phrases == ()
    assert 0 <= reading.domain_probability <= 1


def test_nothing_is_decoded_before_it_is_asked_for(sure, image):
    reading = read(Grounder(sure), image, [NODULE, MASS])
    candidates = [c for heard in reading.phrases for c in heard.candidates]
    assert len(candidates) > 5
    assert all(c.likeness == {} for c in candidates)
    assert all(c.region.shape == candidates[0].region.shape for c in candidates)
    assert sure.network.backbone.describe.calls == []


@pytest.mark.parametrize("words", [{}, {"nodule": ("round",), "mass": ("dense", "oval")}], ids=["any", "by class"])
def test_a_batch_says_what_was_said_box_by_box(sure, image, words):
    grounder = Grounder(told_apart(sure, words))
    reading = read(grounder, image, [NODULE, MASS])
    said = grounder.describe(regions_of(reading))
    assert said == words_one_by_one(grounder, image, [NODULE, MASS], reading.domain)
    assert len(set(said)) > 1
    assert sum(map(bool, said)) > 5


def test_all_boxes_of_all_images_are_one_batch_in_the_order_given(sure, image):
    grounder = Grounder(sure)
    second = prepare(np.random.default_rng(2).random((100, 128), dtype=np.float32), 128)
    regions = [region for one in (image, second) for region in regions_of(read(grounder, one, [NODULE, MASS]))]
    assert len(regions) > 10
    said = grounder.describe(regions)
    assert sure.network.backbone.describe.calls == [(len(regions), None)]
    assert grounder.describe(regions[::-1]) == said[::-1]
    assert [word for one in regions for word in grounder.describe([one])] == said


def test_as_few_batches_as_there_are_word_lists_and_none_too_large(sure, image):
    reading = read(Grounder(sure), image, [NODULE, MASS], max_boxes=5)
    nodules, masses = regions_of(reading)[:5], regions_of(reading)[5:]
    mixed = [one for pair in zip(nodules, masses, strict=True) for one in pair] * 14  # 70 of each, in turn
    apart = told_apart(sure, {"nodule": ("round",), "mass": ("dense", "oval", "dense")})
    said = Grounder(apart).describe(mixed)
    calls = sure.network.backbone.describe.calls
    assert calls == [(64, ("round",)), (6, ("round",)), (64, ("dense", "oval")), (6, ("dense", "oval"))]
    assert DESCRIBED_AT_ONCE == 64
    assert said == said[:10] * 14
    assert {word for words in said[::2] for word in words} <= {"round"}
    calls.clear()
    alike = told_apart(sure, {"nodule": ("oval", "dense"), "mass": ("dense", "oval")})
    Grounder(alike).describe(mixed[:40])
    assert [size for size, _ in calls] == [40]


def test_what_cannot_be_described_has_no_words(sure, image):
    silent = tuple(one.model_copy(update={"described": one.concept == "mass"}) for one in sure.scope.trained)
    grounder = Grounder(replace(sure, scope=sure.scope.model_copy(update={"trained": silent})))
    reading = read(grounder, image, [NODULE, MASS], max_boxes=3)
    nodules, masses = regions_of(reading)[:3], regions_of(reading)[3:]
    assert [features for features, _, _ in nodules] == [None] * 3
    features, _, domain = masses[0]
    asked = [
        nodules[0],
        masses[0],
        (features, "nodule", domain),
        (features, "fracture", domain),
        (None, "mass", domain),
    ]
    said = grounder.describe(asked)
    assert said[1] == grounder.describe(masses[:1])[0] != ()
    assert [said[0], *said[2:]] == [()] * 4
    assert grounder.describe([]) == []
    assert grounder.describe(nodules) == [()] * 3
    assert [size for size, _ in sure.network.backbone.describe.calls] == [1, 1]


def test_boxes_below_the_least_score_have_no_features_either(sure, image):
    grounder = Grounder(sure)
    every = read(grounder, image, [MASS, NODULE]).phrases
    cut = every[0].candidates[2].score
    some = read(grounder, image, [MASS, NODULE], min_score=cut).phrases
    for few, all_ in zip(some, every, strict=True):
        assert few.candidates == all_.candidates[: len(few.candidates)]
        for one, two in zip(few.candidates, all_.candidates, strict=False):
            assert torch.equal(one.region, two.region)
    assert len(some[0].candidates) == 3 < len(every[0].candidates)


def test_no_two_boxes_of_one_answer_overlap_by_more_than_half(bundle, image):
    boxes = [c.box_xyxy_px for c in read(Grounder(bundle), image, [NODULE]).phrases[0].candidates]
    for row, a in enumerate(boxes):
        for b in boxes[:row]:
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
            assert width * height / union <= 0.5 + 1e-3


def test_without_queries_the_decoder_is_not_asked(bundle, image):
    dense, _ = Grounder(bundle, query_weight=0.0).raw(image, [NODULE])
    mixed, _ = Grounder(bundle, query_weight=0.5).raw(image, [NODULE])
    assert not torch.equal(dense[0].logits_N, mixed[0].logits_N)
    assert dense[0].presence_logit == mixed[0].presence_logit


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (1, 400), (700, 3)])
def test_odd_sizes_have_an_answer(bundle, shape):
    tiny = prepare(np.random.default_rng(0).random(shape, dtype=np.float32), 128)
    reading = read(Grounder(bundle), tiny, [NODULE])
    for candidate in reading.phrases[0].candidates:
        assert candidate.box_xyxy_px[2] <= shape[1]
        assert candidate.box_xyxy_px[3] <= shape[0]


def test_read_with_its_mirror_image_a_film_and_its_mirror_image_say_the_same(bundle, image):
    """What is read of the mirrored film is the mirrored reading, which without is not so."""
    other = mirrored(image)
    columns = image.letterbox.columns

    def back(box):
        return (columns - box[2], box[1], columns - box[0], box[3])

    def told(grounder, film, *, turn):
        heard = read(grounder, film, [NODULE, MASS], max_boxes=20).phrases
        boxes = [[back(c.box_xyxy_px) if turn else c.box_xyxy_px for c in one.candidates] for one in heard]
        return boxes, [[c.score for c in one.candidates] for one in heard], [one.presence for one in heard]

    both = Grounder(bundle, mirror=True, query_weight=0.0)
    one, two = told(both, image, turn=False), told(both, other, turn=True)
    for phrase in range(2):
        assert np.allclose(one[1][phrase], two[1][phrase], atol=1e-5)
        assert np.allclose(sorted(one[0][phrase]), sorted(two[0][phrase]), atol=0.05)
        assert one[2][phrase] == pytest.approx(two[2][phrase], abs=1e-5)
    single = Grounder(bundle, query_weight=0.0)
    assert not np.allclose(told(single, image, turn=False)[2], told(single, other, turn=True)[2], atol=1e-5)
    assert not Grounder(bundle).mirror


def test_images_of_one_size_are_read_together_as_they_are_read_alone(bundle, image):
    films = [image, prepare(np.random.default_rng(2).random((140, 180), dtype=np.float32), 128)]
    films.append(prepare(np.random.default_rng(3).random((180, 140), dtype=np.float32), 128))
    grounder = Grounder(bundle)
    together = grounder.read(films, [NODULE, MASS], max_boxes=30, min_score=0.0)
    for film, reading in zip(films, together, strict=True):
        alone = read(grounder, film, [NODULE, MASS])
        assert (reading.domain, len(reading.phrases)) == (alone.domain, len(alone.phrases))
        for one, two in zip(reading.phrases, alone.phrases, strict=True):
            assert np.allclose([c.score for c in one.candidates], [c.score for c in two.candidates], atol=1e-5)
            boxes = [[c.box_xyxy_px for c in heard.candidates] for heard in (one, two)]
            assert np.allclose(boxes[0], boxes[1], atol=0.01)


def test_crops_have_the_kind_of_their_image_and_a_calibration_of_their_own(bundle, image):
    steep = Curve(weights=(2.0,), offset=-1.0, positives=1, negatives=1)
    own = replace(bundle, calibration=bundle.calibration.model_copy(update={"close": {"": steep}}))
    plain = read(Grounder(own), image, [NODULE])
    other = next(domain for domain in DOMAINS if domain != plain.domain)
    (crop,) = Grounder(own).read([image], [NODULE], max_boxes=30, min_score=0.0, known=[other])
    assert crop.domain == other
    for one, two in zip(plain.phrases[0].candidates, crop.phrases[0].candidates, strict=True):
        logit = np.log(one.score / (1 - one.score))
        assert two.score == pytest.approx(1 / (1 + np.exp(1 - 2 * logit)), abs=1e-6)
    (unfitted,) = Grounder(bundle).read([image], [NODULE], max_boxes=30, min_score=0.0, known=[other])
    assert unfitted.phrases[0].candidates == plain.phrases[0].candidates


def test_likeness_is_told_of_the_words_of_the_class_and_of_regions_with_features(sure, image):
    words = {"nodule": ("round", "oval", "dense"), "mass": ("oval", "dense")}
    grounder = Grounder(told_apart(sure, words))
    reading = read(grounder, image, [NODULE, MASS], max_boxes=3)
    portraits = [Portrait(*one, crop=lambda: pytest.fail("pixels are not asked")) for one in regions_of(reading)]
    portraits.append(replace(portraits[0], region=None))
    shape, density = LookGroup(("round", "oval", "irregular")), LookGroup(("faint", "dense"))
    fits = grounder.liken(portraits, (shape, density, LookGroup(("cavitated",))))
    # A mass was only ever called oval, and both only dense: that is no news of any of them.
    assert [set(own) for own in fits] == [{"round", "oval"}] * 3 + [set()] * 4
    for own, portrait in zip(fits[:3], portraits, strict=False):
        tables = sure.network.backbone.liken(portrait.region[None], [("round", "oval"), ("dense",)])
        assert [own["round"], own["oval"]] == pytest.approx(tables[0][0].tolist(), abs=1e-6)
    assert len({round(own["round"], 3) for own in fits[:3]}) > 1
    for own, other in zip(fits, grounder.liken(portraits[::-1], (shape,))[::-1], strict=True):
        assert other == pytest.approx(own, abs=1e-6)
    assert grounder.liken(portraits, (replace(shape, asked=False), density)) == [{}] * 7


def with_cases(bundle, image, *, real_boxes):
    """The bundle with the first two nodules that it sees as cases, and so many real boxes behind each class."""
    grounder = Grounder(bundle)
    domain = read(grounder, image, [NODULE]).domain
    features_ND = torch.stack([region for region, _, _ in regions_of(read(grounder, image, [NODULE]))[:2]]).flatten(1)
    cases = Cases()
    for features_D in features_ND.numpy().astype(np.float16):
        key = case_id("nodule", domain, features_D)
        known = one_case(1, "nodule", domain).known[0].model_copy(update={"id": key})
        cases = cases.joined(Cases((known,), features_D[None]))
    trained = tuple(one.model_copy(update={"real_boxes": real_boxes}) for one in bundle.scope.trained)
    return replace(bundle, cases=cases, scope=bundle.scope.model_copy(update={"trained": trained}))


def test_boxes_of_a_rare_class_name_the_cases_they_look_like(bundle, image):
    rare = with_cases(bundle, image, real_boxes=RARE_REAL_BOXES - 1)
    before, after = (read(Grounder(one), image, [NODULE, MASS]) for one in (bundle, rare))
    assert before == after  # scores and boxes are as without
    nodules, masses = (heard.candidates for heard in after.phrases)
    for number in range(2):
        best = nodules[number].similar[0]
        assert best.case == rare.cases.known[number].id
        assert best.similarity == pytest.approx(1, abs=1e-3)
    flat = torch.stack([candidate.region for candidate in nodules]).flatten(1)
    cases = torch.from_numpy(rare.cases.features_ND.astype(np.float32))
    for candidate, features_D in zip(nodules, flat, strict=True):
        slow = {
            one.id: float(features_D @ row_D / (features_D.norm() * row_D.norm()))
            for one, row_D in zip(rare.cases.known, cases, strict=True)
        }
        assert [one.case for one in candidate.similar] == sorted(slow, key=lambda key: -slow[key])
        for one in candidate.similar:
            assert one.similarity == pytest.approx(max(0.0, slow[one.case]), abs=1e-3)
    assert all(candidate.similar == () for candidate in masses)  # of which there are no cases


def test_a_class_with_many_real_examples_names_none(bundle, image):
    common = with_cases(bundle, image, real_boxes=RARE_REAL_BOXES)
    assert all(candidate.similar == () for candidate in read(Grounder(common), image, [NODULE]).phrases[0].candidates)


def test_a_rare_class_without_words_names_cases_too(bundle, image):
    rare = with_cases(bundle, image, real_boxes=0)
    silent = tuple(one.model_copy(update={"described": False}) for one in rare.scope.trained)
    rare = replace(rare, scope=rare.scope.model_copy(update={"trained": silent}))
    candidates = read(Grounder(rare), image, [NODULE]).phrases[0].candidates
    assert all(candidate.region is None for candidate in candidates)
    assert candidates[0].similar[0].similarity == pytest.approx(1, abs=1e-3)
