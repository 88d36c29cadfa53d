"""The readable page of a data card: short, counted where it can be, and silent about nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from medground.data.cards.facts import DataSetFacts
from medground.data.cards.stated import NOT_STATED, Stated
from medground.schema.vocabulary import Vocabulary

HEADINGS = (
    "What and from where",
    "Who is in it, and who is not",
    "Counts",
    "Labelled exhaustively",
    "Known dirt",
    "Copies and leaks",
    "What the images say of themselves",
    "Checks run",
)
REVIEWS = "What reviewers made of it"
"""A heading of data that come from reviews alone."""
_OUTCOMES = ("accepted", "edited", "rejected", "added", "unreviewed")
_LISTED = 10


def page_of(facts: DataSetFacts, stated: Stated, vocabulary: Vocabulary) -> str:
    """Write the page.

    Args:
        facts: counted from the data set.
        stated: what its owner says of it; what is left out stands as not stated.
        vocabulary: of the data set, for the names of the concepts.

    Returns:
        Markdown.
    """
    sections = (
        _source(facts, stated),
        _who(facts, stated),
        _counts(facts, vocabulary),
        _exhaustive(facts),
        _dirt(facts),
        _copies(facts),
        _known(facts),
        _checks(facts),
    )
    lines = [f"# {facts.name}", ""]
    for heading, section in zip(HEADINGS, sections, strict=True):
        lines += [f"## {heading}", "", *section, ""]
    if facts.outcomes:
        lines += [f"## {REVIEWS}", "", *_outcomes(facts, vocabulary), ""]
    return "\n".join(lines)


def _source(facts: DataSetFacts, stated: Stated) -> Iterator[str]:
    yield f"- Source: {stated.source or NOT_STATED}"
    yield f"- Licence: {stated.licence or NOT_STATED}"
    yield f"- Version: `{facts.version}`, read by {f'`{facts.importer}`' if facts.importer else 'no importer'}"
    yield f"- Kind of image: {_tally(facts.domains)}"
    if facts.synthetic:
        yield f"- Made by code, of no patient: {facts.synthetic:,} images"


def _who(facts: DataSetFacts, stated: Stated) -> Iterator[str]:
    yield stated.description or f"{NOT_STATED.capitalize()}. Age, sex, place and device are not counted here."
    yield ""
    yield f"{facts.patients:,} patients, as the source tells them apart."


def _counts(facts: DataSetFacts, vocabulary: Vocabulary) -> Iterator[str]:
    yield from _table(
        ("part", "images", "patients"),
        [
            *((part, images, facts.patients_by_part[part]) for part, images in sorted(facts.images_by_part.items())),
            *([("dropped from every part", facts.dropped, "")] if facts.dropped else []),
            ("**all**", facts.images, facts.patients),
        ],
    )
    yield ""
    names = {concept.key: concept.name for concept in vocabulary.concepts}
    parts = sorted({part for count in facts.concepts.values() for part in count.by_part})
    rows = [
        (
            f"{key} ({names.get(key, key)})",
            count.boxes,
            count.lesions,
            count.images,
            *(count.by_part.get(part, 0) for part in parts),
            count.uncertain,
        )
        for key, count in facts.concepts.items()
    ]
    heads = ("concept", "boxes", "lesions", "images", *(f"boxes in {part}" for part in parts), "doubted by the source")
    yield from _table(heads, rows)
    yield ""
    yield "A lesion through a volume has a box on each slice and counts once as a lesion."


def _exhaustive(facts: DataSetFacts) -> Iterator[str]:
    yield "Outside these sets an unmatched box is no false positive, and no image is a negative."
    yield ""
    for concepts, images in facts.sets.items():
        yield f"- {images:,} images: {', '.join(sorted(concepts)) if concepts else 'for nothing'}"


def _dirt(facts: DataSetFacts) -> Iterator[str]:
    report = facts.report
    if report is None:
        yield "No account of an import is beside this data set."
        return
    yield (
        f"{report.images_published:,} images and {report.boxes_published:,} boxes were published; "
        f"{report.images:,} images and {report.boxes:,} boxes are in, {report.boxes_lost:,} boxes are not."
    )
    yield ""
    if report.issue_counts:
        yield from _table(("issue", "times"), list(report.issue_counts.items()))
    else:
        yield "Nothing was rejected or repaired."
    if report.unmapped:
        yield ""
        yield f"Class names that no concept has: {_tally(report.unmapped)}."


def _copies(facts: DataSetFacts) -> Iterator[str]:
    report, split = facts.report, facts.split
    if report is None:
        yield "- Copies within the data set: not looked for."
    else:
        kinds = Counter(double.identical for double in report.doubles)
        near = f"{kinds[False]:,} pairs" if report.near_duplicates_sought else "not looked for"
        apart = sum(double.first_part != double.second_part for double in report.doubles)
        yield f"- Byte-identical: {kinds[True]:,} pairs. Near-duplicates: {near}. In two published parts: {apart:,}."
    if split is None:
        yield "- Parts: not checked for leaks. `medground data split` does."
        return
    found = f"**{len(split.leaks):,} leaks**" if split.leaks else "no leak"
    yield (
        f"- Parts (salt `{split.salt}`): {split.films_compared:,} images compared by patient, file and picture, {found}"
        f"; {len(split.dropped):,} images dropped as copies of a measured one."
    )
    yield from (f"  - {leak}" for leak in split.leaks[:_LISTED])


def _known(facts: DataSetFacts) -> Iterator[str]:
    yield f"- Left and right are known for {facts.sides_known:,} of {facts.images:,} images; elsewhere neither is said."
    yield f"- Millimetres are known for {facts.spacing_known:,} of {facts.images:,} images."
    yield f"- Without an image file: {facts.without_file:,}."


def _checks(facts: DataSetFacts) -> Iterator[str]:
    report, split = facts.report, facts.split
    for done, words in (
        (report is not None, "every published box is in a record or in an issue"),
        (report is not None and report.near_duplicates_sought, "pictures compared with each other for near-duplicates"),
        (split is not None, "parts checked for leaks by patient, file and picture"),
        (split is not None and not split.leaks, "that check passed"),
    ):
        yield f"- [{'x' if done else ' '}] {words}"


def _outcomes(facts: DataSetFacts, vocabulary: Vocabulary) -> Iterator[str]:
    yield (
        "Findings by what the model called them, and by what became of them; added ones by what their reviewer called "
        "them. Rejected boxes are no regions: they stand among the attributes of each image."
    )
    yield ""
    names = {concept.key: concept.name for concept in vocabulary.concepts}
    total = [sum(by.get(outcome, 0) for by in facts.outcomes.values()) for outcome in _OUTCOMES]
    named = [
        (f"{key} ({names.get(key, key)})", *(by.get(outcome, 0) for outcome in _OUTCOMES))
        for key, by in facts.outcomes.items()
    ]
    yield from _table(("concept", *_OUTCOMES), [*named, ("**all**", *total)])


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({number:,})" for name, number in counts.items())


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"


def _cell(value: object) -> str:
    words = f"{value:,}" if isinstance(value, int) else str(value)
    return words.replace("|", "\\|").replace("\n", " ")
