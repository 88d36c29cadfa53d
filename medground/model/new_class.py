"""A class added to a trained bundle from a few images: prototypes and names are new, no weight changes.

What stands for the class are embeddings of locations on its boxes (`class_example`). They are held against the
statistics that training left in the bundle, so a bundle without these takes no class.

Legend: N rows, D embedding width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import ValidationError
from torch import Tensor

from medground.model.bundle import Bundle
from medground.model.cases import ADDED_BY_HAND
from medground.model.class_example import Seen
from medground.model.network import GroundingNetwork
from medground.model.prototypes import PrototypeBank
from medground.model.scope import Scope, TrainedConcept
from medground.schema.anatomy import DOMAINS
from medground.schema.errors import UsageError
from medground.schema.vocabulary import Concept, Vocabulary

ADDED = "added_classes"  # in the bundle's summary: key to images, boxes, and whether its words came with it


@dataclass(frozen=True, slots=True)
class KnownClass:
    """A class with a column in the bundle's prototypes.

    Attributes:
        concept: its key and names.
        added: whether it was added after training; then prototypes alone speak for it.
        images: that stand behind it.
        prototypes: in use.
        share: of prototypes in its score, 0..1; the words of the question have the rest.
    """

    concept: Concept
    added: bool
    images: int
    prototypes: int
    share: float


def known_classes(bundle: Bundle) -> tuple[KnownClass, ...]:
    """The classes that have prototypes, in the order of their columns; empty for a bundle that keeps none."""
    bank = bundle.network.prototypes
    columns = zip(
        bundle.network.config.classes,
        bank.added_C.tolist(),
        bank.images_C.tolist(),
        (bank.weight_CK > 0).sum(1).tolist(),
        bank.share_C().tolist(),
        strict=True,
    )
    return tuple(KnownClass(bundle.vocabulary[key], *values) for key, *values in columns)


def add_class(bundle: Bundle, concept: Concept, examples: Sequence[Seen]) -> Bundle:
    """A bundle that knows one more class, or one of its own classes from more images; the given one stays as it is.

    The two share their weights. A class that the bundle knows keeps its names, and the covariance stays as training
    left it. A class from training keeps its share of text, less prototypes as its images grow in number.

    Args:
        bundle: with prototypes.
        concept: its key may be in the vocabulary already; then the vocabulary's names count.
        examples: of `see`, one per image.

    Raises:
        UsageError: if there are no examples, the bundle keeps no prototypes, it was trained for the concept in words
            alone, or a name is taken.
    """
    rows = [seen.embeddings_ND for seen in examples]
    if not rows:
        raise UsageError(f"no image shows {concept.key!r}: give at least one with a box of it")
    _check_statistics(bundle)
    network, key = bundle.network, concept.key
    classes, bank = network.config.classes, network.prototypes
    if key not in classes and any(entry.concept == key for entry in bundle.scope.trained):
        raise UsageError(
            f"this bundle was trained for {key!r} and keeps no prototypes of it: adding it would replace what it knows"
        )
    vocabulary, is_new_word = _vocabulary(bundle.vocabulary, concept, examples)
    rows_ND = torch.cat(rows).to(bank.scatter_DD.device)
    if key in classes:
        grown = _known_better(bank, classes.index(key), rows_ND, len(rows))
    else:
        grown, classes = bank.with_class(rows_ND, len(rows)), (*classes, key)
    summary, info = bundle.summary, bundle.info
    if bool(grown.added_C[classes.index(key)]):
        summary = _noted(summary, key, examples, is_new_word)
        info = info.model_copy(update={"version": f"{_version_without(info.version, key)}+{key}", "sha256": ""})
    return replace(
        bundle,
        info=info,
        network=_with_bank(network, grown, classes),
        vocabulary=vocabulary,
        scope=_scope_with(bundle.scope, key, examples),
        summary=summary,
    )


def remove_class(bundle: Bundle, key: str) -> Bundle:
    """A bundle without a class that was added to it; words and cases that came with the class go, too.

    Of a class from training only the cases go that were added to it.

    Raises:
        UsageError: if the bundle has no such class, or has it from training and no cases were added to it.
    """
    bank, classes = bundle.network.prototypes, bundle.network.config.classes
    added = [known.concept.key for known in known_classes(bundle) if known.added]
    if key not in added:
        cases = bundle.cases.without(key, ADDED_BY_HAND)
        if len(cases.known) < len(bundle.cases.known):
            return replace(bundle, info=bundle.info.model_copy(update={"sha256": ""}), cases=cases)
        was = "comes from training and cannot be taken out" if key in classes else "is no class of this bundle"
        raise UsageError(f"{key!r} {was}; added were: {', '.join(added) or 'none'}")
    kept = [column for column, name in enumerate(classes) if name != key]
    shrunk = PrototypeBank(len(kept), bank.means_CKD.shape[2], bank.config).to(bank.scatter_DD.device)
    for name, value in bank.named_buffers():
        buffer = shrunk.get_buffer(name)
        buffer.copy_(value if buffer.shape == value.shape else value[kept])
    notes = dict(bundle.summary.get(ADDED, {}))
    note = notes.pop(key, {})
    summary = {name: value for name, value in bundle.summary.items() if name != ADDED}
    vocabulary = bundle.vocabulary
    if note.get("new_word"):
        concepts = tuple(concept for concept in vocabulary.concepts if concept.key != key)
        vocabulary = vocabulary.model_copy(update={"concepts": concepts})
    trained = tuple(entry for entry in bundle.scope.trained if entry.concept != key)
    version = _version_without(bundle.info.version, key)
    return replace(
        bundle,
        info=bundle.info.model_copy(update={"version": version, "sha256": ""}),
        network=_with_bank(bundle.network, shrunk, tuple(classes[column] for column in kept)),
        vocabulary=vocabulary,
        scope=bundle.scope.model_copy(update={"trained": trained}),
        summary=summary | ({ADDED: notes} if notes else {}),
        cases=bundle.cases.without(key),
    )


def _check_statistics(bundle: Bundle) -> None:
    if not bundle.network.prototypes.ground.known:
        raise UsageError(
            f"the bundle {bundle.info.name} {bundle.info.version} keeps no statistics of its embeddings to hold a new "
            "class against (bundles from before prototypes have none): train one with `python -m pipelines train`"
        )


def _vocabulary(vocabulary: Vocabulary, concept: Concept, examples: Sequence[Seen]) -> tuple[Vocabulary, bool]:
    """The vocabulary with the concept, and whether it had to be put in."""
    if any(known.key == concept.key for known in vocabulary.concepts):
        return vocabulary, False
    domains = tuple(domain for domain in DOMAINS if any(seen.domain == domain for seen in examples))
    concepts = (*vocabulary.concepts, concept.model_copy(update={"domains": concept.domains or domains}))
    try:
        return Vocabulary(version=vocabulary.version, concepts=concepts), True
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"{concept.key!r} cannot join the vocabulary: {reason}; give it other names") from error


def _known_better(bank: PrototypeBank, column: int, rows_ND: Tensor, images: int) -> PrototypeBank:
    """A copy in which one class has seen more rows, of `images` images."""
    grown = copy.deepcopy(bank)
    column_N = torch.full((len(rows_ND),), column, dtype=torch.int64, device=rows_ND.device)
    grown.update(rows_ND, column_N, rows_ND.new_ones(len(rows_ND)), rows_ND[:0])
    grown.scatter_DD.copy_(bank.scatter_DD)
    grown.scatter_weight.copy_(bank.scatter_weight)
    grown.images_C[column] += images
    return grown


def _with_bank(network: GroundingNetwork, bank: PrototypeBank, classes: tuple[str, ...]) -> GroundingNetwork:
    """A network of the very same parts around another bank."""
    config = network.config.model_copy(update={"classes": classes})
    with torch.device("meta"):  # its own parts are replaced: no memory, no random numbers
        grown = GroundingNetwork(config, network.backbone)
    for name, part in network.named_children():
        setattr(grown, name, bank if name == "prototypes" else part)
    return grown.train(network.training)


def _scope_with(scope: Scope, key: str, examples: Sequence[Seen]) -> Scope:
    """The scope with the examples counted in, kind of image by kind of image."""
    trained = list(scope.trained)
    for domain in DOMAINS:
        here = [seen for seen in examples if seen.domain == domain]
        if not here:
            continue
        known = scope.find(key, domain)
        base = known or TrainedConcept(
            concept=key, domain=domain, images=0, boxes=0, real_boxes=0, synthetic_only=True, described=False
        )
        real = base.real_boxes + sum(seen.boxes for seen in here if not seen.synthetic)
        entry = base.model_copy(
            update={
                "images": base.images + len(here),
                "boxes": base.boxes + sum(seen.boxes for seen in here),
                "real_boxes": real,
                "synthetic_only": real == 0,
            }
        )
        trained = [one for one in trained if one != known] + [entry]
    return scope.model_copy(update={"trained": tuple(trained)})


def _noted(summary: dict[str, object], key: str, examples: Sequence[Seen], is_new_word: bool) -> dict[str, object]:
    """The summary with an account of the added class."""
    noted = summary.get(ADDED)
    notes = dict(noted) if isinstance(noted, dict) else {}
    before = notes.get(key, {"images": 0, "boxes": 0, "new_word": is_new_word})
    boxes = sum(seen.boxes for seen in examples)
    notes[key] = {**before, "images": before["images"] + len(examples), "boxes": before["boxes"] + boxes}
    return {**summary, ADDED: notes}


def _version_without(version: str, key: str) -> str:
    return "+".join(part for part in version.split("+") if part != key)
