"""A class that no training saw, from a few films, against drawn truth."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from monai.data.box_utils import box_iou

from medground.evaluation.detection import Detection, ImageTruth, Truth, average_precision
from medground.model.bundle import Bundle, read_bundle
from medground.model.bundle_write import save_bundle
from medground.model.cases import ADDED_BY_HAND
from medground.model.class_example import LEAST_QUALITY, Example, Seen, see
from medground.model.grounder import Grounder
from medground.model.new_class import add_class, known_classes, remove_class
from medground.model.reading import Phrase
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.vocabulary import Code, Concept
from tests.model.made_cases import one_case
from tests.model.shapes import CLASSES, FILM, NEW, drawn_picture, model_film, trained_bundle

SPOT = Concept(
    key="dark_spot",
    code=Code(scheme="99MEDGROUND", value="dark_spot", meaning="dark spot"),
    names={"en": ("dark spot",), "zh": ("暗斑",)},
)
HELD_OUT = range(1000, 1020)


@pytest.fixture(scope="module")
def old() -> Bundle:
    return trained_bundle()


@pytest.fixture(scope="module")
def seen(old: Bundle) -> list[Seen]:
    return [see(old, example(seed)) for seed in range(2000, 2008)]


@pytest.fixture(scope="module")
def new(old: Bundle, seen: list[Seen]) -> Bundle:
    return add_class(old, SPOT, seen)


def example(seed: int, shapes: str = NEW) -> Example:
    image, boxes = model_film(seed, shapes)
    return Example(image, boxes, FILM, synthetic=True)


def ap50(bundle: Bundle, key: str, letter: str, shapes: str) -> float:
    """On films that no bundle saw, each with all of `shapes`."""
    truths, found = [], []
    for seed in HELD_OUT:
        image, boxes = model_film(seed, shapes)
        own = tuple(Truth(str(seed), key, box) for box, shape in zip(boxes, shapes, strict=True) if shape == letter)
        truths.append(ImageTruth(str(seed), str(seed), own, frozenset({key})))
        phrase = Phrase(key, key.replace("_", " "))
        (reading,) = Grounder(bundle).read([image], [phrase], max_boxes=30, min_score=0.0)
        found += [Detection(str(seed), key, box.box_xyxy_px, box.score) for box in reading.phrases[0].candidates]
    value = average_precision(truths, found, key)
    assert value is not None
    return value


def test_the_class_is_found_on_films_that_gave_no_example(old: Bundle, new: Bundle, seen: list[Seen]) -> None:
    assert old.scope.find("dark_spot", FILM) is None  # asked about it, the old bundle says that it was not trained
    assert ap50(new, "dark_spot", NEW, f"s{NEW}") > 0.5  # 0.89 to 1 over six trainings
    assert ap50(add_class(old, SPOT, seen[:1]), "dark_spot", NEW, f"s{NEW}") > 0.4  # one film: 0.65 to 0.98


def test_no_weight_changes(old: Bundle, new: Bundle) -> None:
    mine, grown = old.network.state_dict(), new.network.state_dict()
    assert mine.keys() == grown.keys()
    for name, value in mine.items():
        if not name.startswith("prototypes."):
            assert torch.equal(value, grown[name]), name
    count = len(CLASSES)
    for name, value in old.network.prototypes.named_buffers():
        kept = new.network.prototypes.get_buffer(name)
        assert torch.equal(value, kept if kept.shape == value.shape else kept[:count]), name
    assert old.network.config.classes == tuple(CLASSES.values())


def test_other_classes_are_read_as_before(old: Bundle, new: Bundle) -> None:
    """All that moves is what a class is held against: the half that other classes share goes to one more."""
    image, _ = model_film(1000, "sx")
    readings = []
    for bundle in (old, new):
        network = bundle.network
        with torch.no_grad():
            dense = network.dense(network.backbone.look(image.pixels_HW[None, None]), network.backbone.read(["nodule"]))
        ratio_A = network.prototypes.log_ratio(dense.embedding_BAD[0], [0])[:, 0]
        mixed_A = network.prototypes.blend(dense.logits_BAP, dense.embedding_BAD, [0])[0, :, 0]
        readings.append((dense, ratio_A, mixed_A))
    (one, ratio_one_A, mixed_one_A), (two, ratio_two_A, mixed_two_A) = readings
    assert torch.equal(one.logits_BAP, two.logits_BAP)
    assert torch.equal(one.boxes_BA4, two.boxes_BA4)
    share = float(old.network.prototypes.share_C()[0])
    assert torch.allclose(mixed_two_A - mixed_one_A, share * (ratio_two_A - ratio_one_A), atol=1e-4)
    # Of three classes each other one weighed a quarter, of four a sixth; a likely rival can only lower the ratio.
    assert float((ratio_two_A - ratio_one_A).max()) <= math.log(3 / 2) + 1e-4
    assert abs(ap50(new, "nodule", "s", "sx") - ap50(old, "nodule", "s", "sx")) < 0.1


def test_prototypes_alone_score_the_class_and_its_best_box_is_its_presence(new: Bundle) -> None:
    image, _ = model_film(1000, f"s{NEW}")
    mixed = Grounder(new, query_weight=0.9)  # the decoder, which never learned the class, is not asked
    asked = [Phrase("dark_spot", words) for words in ("dark spot", "暗斑", "a round, dark spot")]
    (reading,) = mixed.read([image], asked, max_boxes=30, min_score=0.0)
    first, second, third = reading.phrases
    assert first.candidates == second.candidates == third.candidates  # whatever the words
    assert first.presence == pytest.approx(first.candidates[0].score)
    network = new.network
    with torch.no_grad():
        dense = network.dense(network.backbone.look(image.pixels_HW[None, None]), torch.zeros(0, 32))
    bank = network.prototypes
    ratio_A = bank.log_ratio(dense.embedding_BAD[0], [len(CLASSES)])[:, 0]
    expected = float(bank.added_slope) * float(ratio_A.max()) + float(bank.added_offset)
    raws, _ = mixed.raw(image, asked[:1])
    assert raws[0].presence_logit == pytest.approx(expected, abs=1e-3)


def test_prototypes_are_called_by_the_key_of_a_class_and_words_move_the_text_alone(old: Bundle) -> None:
    """A name, its translation and a phrase with a word of appearance: three texts, and one part of the prototypes."""
    network, (film, _) = old.network, model_film(1000, "sx")
    asked = [Phrase("nodule", words) for words in ("nodule", "结节", "a spiculated nodule")]
    with torch.no_grad():
        text = network.backbone.read([phrase.text for phrase in asked])
        dense = network.dense(network.backbone.look(film.pixels_HW[None, None]), text)
        mixed = Grounder(old)._with_prototypes(dense, asked)
    share = float(network.prototypes.share_C()[0])
    assert 0 < share < 0.5
    part_AP = (mixed.logits_BAP - (1 - share) * dense.logits_BAP)[0]
    for other in (1, 2):
        assert float((dense.logits_BAP[0, :, 0] - dense.logits_BAP[0, :, other]).abs().max()) > 0.1
        assert torch.allclose(part_AP[:, 0], part_AP[:, other], atol=1e-4)
    assert float(part_AP[:, 0].std()) > 0.1


def test_examples_are_locations_that_fit_the_box(old: Bundle) -> None:
    one = example(2000)
    rows_ND = see(old, one).embeddings_ND
    with torch.no_grad():
        pyramid = old.network.backbone.look(one.image.pixels_HW[None, None])
        dense = old.network.dense(pyramid, torch.zeros(0, 32))
    box_14 = torch.tensor(one.boxes_xyxy_px, dtype=torch.float32)
    overlap_A = torch.as_tensor(box_iou(box_14, dense.boxes_BA4[0]))[0]
    x1, y1, x2, y2 = box_14[0]
    for row_D in rows_ND:
        (at,) = (dense.embedding_BAD[0] == row_D).all(1).nonzero()[:, 0].tolist()
        x, y = dense.centres_A2[at]
        assert x1 - 12 < x < x2 + 12
        assert y1 - 12 < y < y2 + 12
        assert len(rows_ND) == 1 or overlap_A[at] >= LEAST_QUALITY / 2


def test_words_scope_and_account(old: Bundle, new: Bundle) -> None:
    assert new.vocabulary["dark_spot"].domains == (FILM,)
    entry = new.scope.find("dark_spot", FILM)
    assert entry is not None
    assert (entry.images, entry.boxes, entry.real_boxes, entry.synthetic_only) == (8, 8, 0, True)
    assert new.summary["added_classes"] == {"dark_spot": {"images": 8, "boxes": 8, "new_word": True}}
    assert new.info.version == "1+dark_spot"
    *trained, spot = known_classes(new)
    assert [one.added for one in trained] == [False] * len(CLASSES)
    assert (spot.concept.key, spot.added, spot.images, spot.share) == ("dark_spot", True, 8, 1.0)
    assert old.summary == {"note": "shapes"}


def test_it_survives_the_disk(new: Bundle, tmp_path: Path) -> None:
    save_bundle(new, tmp_path / "new")
    back = read_bundle(tmp_path / "new")
    image, _ = model_film(1001, f"s{NEW}")
    one, two = (Grounder(bundle).raw(image, [Phrase("dark_spot", "dark spot")])[0][0] for bundle in (new, back))
    assert two.best_logit == pytest.approx(one.best_logit, abs=1e-2)


def test_removal_gives_back_what_was(old: Bundle, new: Bundle) -> None:
    back = remove_class(new, "dark_spot")
    for name, value in old.network.state_dict().items():
        assert torch.equal(value, back.network.state_dict()[name]), name
    assert (back.vocabulary, back.scope, back.summary) == (old.vocabulary, old.scope, old.summary)
    assert (back.info, back.network.config) == (old.info, old.network.config)
    with pytest.raises(UsageError, match="comes from training"):
        remove_class(new, "nodule")
    with pytest.raises(UsageError, match="is no class of this bundle; added were: dark_spot"):
        remove_class(new, "ring")


def test_of_a_class_from_training_the_added_cases_are_taken_out_and_no_others(old: Bundle) -> None:
    drawn, added = one_case(1, "nodule"), one_case(2, "nodule", source=ADDED_BY_HAND, kept=True)
    other = one_case(3, "cavity", source=ADDED_BY_HAND)
    back = remove_class(replace(old, cases=drawn.joined(added).joined(other)), "nodule")
    assert back.cases.known == (*drawn.known, *other.known)
    assert back.cases.pictures == {}
    assert (back.network, back.vocabulary, back.scope) == (old.network, old.vocabulary, old.scope)
    with pytest.raises(UsageError, match="comes from training"):
        remove_class(back, "nodule")


def test_a_second_helping_counts_and_keeps_the_covariance(old: Bundle, seen: list[Seen]) -> None:
    more = add_class(add_class(old, SPOT, seen[:3]), SPOT, seen[3:])
    bank = more.network.prototypes
    rows = sum(len(one.embeddings_ND) for one in seen)
    assert float(bank.weight_CK[-1].sum()) == pytest.approx(rows)
    assert int(bank.images_C[-1]) == 8
    assert torch.equal(bank.scatter_DD, old.network.prototypes.scatter_DD)
    assert torch.equal(bank.ground.covariance_DD, old.network.prototypes.ground.covariance_DD)
    assert more.summary["added_classes"]["dark_spot"]["boxes"] == 8
    assert more.info.version == "1+dark_spot"


def test_a_class_from_training_stays_one(old: Bundle) -> None:
    nodules = [see(old, example(seed, "s")) for seed in (5, 6)]
    before = copy.deepcopy(old.network.prototypes.state_dict())
    more = add_class(old, old.vocabulary["nodule"], nodules)
    first = known_classes(more)[0]
    assert (first.added, first.images) == (False, 38)
    assert first.share == pytest.approx(0.5 * 20 / (20 + 38))
    assert more.vocabulary is old.vocabulary
    entry = more.scope.find("nodule", FILM)
    assert entry is not None
    assert (entry.images, entry.boxes) == (38, 50)
    for name, value in before.items():
        assert torch.equal(value, old.network.prototypes.state_dict()[name]), name


def test_the_network_names_the_kind_where_the_source_does_not(old: Bundle) -> None:
    image, boxes = model_film(2000, NEW)
    for said in (Domain.OTHER, Domain.CHEST_CT):
        one = see(old, Example(image, boxes, said))
        assert one.taken_for is FILM
        assert one.domain is (FILM if said is Domain.OTHER else said)


def bad_examples() -> Sequence[tuple[tuple[tuple[float, float, float, float], ...], str]]:
    return [
        ((), "needs at least one box"),
        (((1, 1, 70, 9),), "does not lie on its image of 64x64"),
        (((9, 1, 2, 9),), "does not lie"),
        (((float("nan"), 1, 2, 9),), "does not lie"),
    ]


@pytest.mark.parametrize(("boxes", "message"), bad_examples())
def test_boxes_must_lie_on_the_image(
    old: Bundle, boxes: tuple[tuple[float, float, float, float], ...], message: str
) -> None:
    image, _ = model_film(2000, NEW)
    with pytest.raises(UsageError, match=message):
        see(old, Example(image, boxes))


def test_what_cannot_be_added_is_refused(old: Bundle, seen: list[Seen], bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="no image shows 'dark_spot'"):
        add_class(old, SPOT, [])
    with pytest.raises(UsageError, match="keeps no statistics of its embeddings"):
        add_class(bundle, SPOT, seen)
    taken = SPOT.model_copy(update={"names": {"en": ("lung nodule",)}})
    with pytest.raises(UsageError, match=r"cannot join the vocabulary: .*names both"):
        add_class(old, taken, seen)
    entry = old.scope.trained[0].model_copy(update={"concept": "hernia"})
    words_only = replace(old, scope=old.scope.model_copy(update={"trained": (*old.scope.trained, entry)}))
    with pytest.raises(UsageError, match="keeps no prototypes of it"):
        add_class(words_only, old.vocabulary["hernia"], seen)


def test_films_are_drawn_where_their_boxes_say() -> None:
    picture, (box,) = drawn_picture(7, NEW)
    x1, y1, x2, y2 = map(int, box)
    middle, outside = picture[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3], picture.copy()
    outside[y1:y2, x1:x2] = 0.5
    assert middle.mean() < 0.3
    assert outside.mean() == pytest.approx(0.5, abs=0.01)
