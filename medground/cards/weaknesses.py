"""The weaknesses of a model in sentences for clinicians, each said by a rule from numbers of the card.

Findings are judged on real images; where a kind of image was measured on phantoms alone, on those, and it is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from medground.cards.contents import ClassCount, Weakness
from medground.cards.results import ConceptResult, Evaluation, Subgroup
from medground.cards.rounding import shown
from medground.evaluation.verdicts import VerdictCounts
from medground.schema.anatomy import Domain
from medground.schema.rarity import RARE_REAL_BOXES
from medground.schema.subgroup import Axis

ENOUGH_BOXES = 5
"""With fewer marked boxes nothing is said of how often a finding is missed."""
FEW_BOXES = 10
"""Figures that rest on fewer boxes are called weak."""
MISSED_BELOW, HARDLY_BELOW = 0.5, 0.25
ONE, MANY = 1.0, 8.0
"""False boxes an image: what a reader may bear, and what none will."""
FALSE_BOXES_ABOVE = 1.0
FALSE_ALARMS_ABOVE = 0.03
OFF_ABOVE = 0.1
DECIDED_BELOW = 0.5
SMALL_BELOW = 0.5
"""Of the AP of large lesions."""
GROUP_BOXES = 20
CHILDREN = "under 18"  # as `medground.data.image_groups` calls them
PEOPLE = (Axis.SEX, Axis.AGE_BAND, Axis.DEVICE)


def weaknesses_of(evaluations: Sequence[Evaluation], classes: Sequence[ClassCount]) -> tuple[Weakness, ...]:
    """Every weakness that a rule finds: what is missed first, then false alarms, training, and what nobody knows.

    Args:
        evaluations: of the card.
        classes: what was trained on.
    """
    real = {one.domain for one in evaluations if not one.synthetic}
    judged = [one for one in evaluations if not one.synthetic or one.domain not in real]
    found = [weakness for one in judged for weakness in _misses(one)]
    found += [weakness for one in judged for weakness in _answers(one)]
    found += [weakness for one in judged for row in one.concepts for weakness in _false_boxes(one, row)]
    found += [weakness for one in judged for weakness in (*_small(one), *_groups(one), *_weak_figures(one))]
    found += _training(classes, _measured_real(evaluations))
    found += _unmeasured(evaluations, classes)
    return tuple(found)


def where(evaluation: Evaluation) -> str:
    """The images of an evaluation in words."""
    if evaluation.domain is None:
        return evaluation.data
    made = "synthetic" if evaluation.synthetic else "real"
    seen = "" if evaluation.touched else "unseen "
    return f"{seen}{made} {evaluation.domain.value}s"


def _misses(one: Evaluation) -> Iterator[Weakness]:
    for row in one.concepts:
        if row.froc is None or row.n_boxes < ENOUGH_BOXES:
            continue
        at = {point.fp_per_image: point.sensitivity for point in row.froc.points}
        few, many = at[ONE], at[MANY]
        if many < HARDLY_BELOW:
            hits = round(many * row.n_boxes)
            numbers = {"boxes": row.n_boxes, "hits": hits, "sensitivity": many, "false_boxes": int(MANY)}
            words = (
                f"It hardly finds {row.name}: of {shown(row.n_boxes)} marked on {where(one)} it boxes {shown(hits)} "
                f"({shown(many, 'percent')} of 100), even if {shown(int(MANY))} false boxes an image are accepted."
            )
            yield _said("hardly found", one, row, numbers, words)
        elif few < MISSED_BELOW:
            hits = round(few * row.n_boxes)
            numbers = {"boxes": row.n_boxes, "hits": hits, "sensitivity": few, "false_boxes": int(ONE)}
            words = (
                f"It misses {row.name} more often than not: of {shown(row.n_boxes)} marked on {where(one)} it boxes "
                f"{shown(hits)} ({shown(few, 'percent')} of 100), if {shown(int(ONE))} false box an image is accepted."
            )
            yield _said("missed", one, row, numbers, words)


def _answers(one: Evaluation) -> Iterator[Weakness]:
    if one.answers is None:
        return
    present, absent = one.answers.present, one.answers.absent
    if present.supported and present.found / present.supported < DECIDED_BELOW:
        n = shown(present.supported)
        words = f"Asked about what is there on {where(one)} ({n} questions), it said {_told(present)}."
        yield _said("undecided", one, None, _numbers(present), words)
    if absent.supported and absent.not_found / absent.supported < DECIDED_BELOW:
        words = (
            f"It rarely rules out: asked about what is not there on {where(one)} ({shown(absent.supported)} "
            f"questions), it said {_told(absent)}."
        )
        yield _said("not ruled out", one, None, _numbers(absent), words)
    if one.absent_error and one.absent_error.value > FALSE_ALARMS_ABOVE:
        error = one.absent_error
        words = (
            f"False alarms: of {shown(error.n)} questions about what is not there on {where(one)}, it answered "
            f'"found" to {shown(error.value, "percent")} of 100.'
        )
        yield _said("false alarms", one, None, {"questions": error.n, "share": error.value}, words)
    if one.ece and one.ece.value > OFF_ABOVE:
        words = (
            f"Its probabilities cannot be taken at their word on {where(one)}: on average they are off by "
            f"{shown(one.ece.value, 'percent')} points of 100."
        )
        yield _said("probabilities off", one, None, {"questions": one.ece.n, "error": one.ece.value}, words)


def _told(counts: VerdictCounts) -> str:
    return (
        f'"found" to {shown(counts.found)}, "uncertain" to {shown(counts.uncertain)} and "not found" to '
        f"{shown(counts.not_found)}"
    )


def _numbers(counts: VerdictCounts) -> dict[str, float | int]:
    return {
        "questions": counts.supported,
        "found": counts.found,
        "uncertain": counts.uncertain,
        "not_found": counts.not_found,
    }


def _false_boxes(one: Evaluation, row: ConceptResult) -> Iterator[Weakness]:
    false = row.false_on_normal
    if false and row.n_boxes >= ENOUGH_BOXES and false.value > FALSE_BOXES_ABOVE:
        words = (
            f"To have half of {row.name} found on {where(one)}, one must accept {shown(false.value, 'tenths')} false "
            "boxes on each image that shows none."
        )
        yield _said("many false boxes", one, row, {"false_boxes": false.value}, words)


def _small(one: Evaluation) -> Iterator[Weakness]:
    sizes = {size.name: size for size in one.sizes}
    small, large = sizes.get("small"), sizes.get("large")
    if small and large and small.ap50.value < SMALL_BELOW * large.ap50.value:
        words = (
            f"Small lesions suffer most: on {where(one)} average precision is {shown(small.ap50.value)} for small ones "
            f"({shown(small.n_boxes)}) and {shown(large.ap50.value)} for large ones ({shown(large.n_boxes)})."
        )
        numbers = {
            "small": small.ap50.value,
            "large": large.ap50.value,
            "small_boxes": small.n_boxes,
            "large_boxes": large.n_boxes,
        }
        yield _said("small lesions", one, None, numbers, words)


def _groups(one: Evaluation) -> Iterator[Weakness]:
    """Two groups of an axis whose intervals lie apart."""
    for axis in Axis:
        rows = [g for g in one.subgroups if g.axis == axis and g.mean_ap50 and g.n_boxes >= GROUP_BOXES]
        rows.sort(key=_precision)
        if len(rows) > 1 and (worst := rows[0].mean_ap50) and (best := rows[-1].mean_ap50) and worst.high < best.low:
            words = (
                f"It does worse on some: by {axis.value.replace('_', ' ')}, on {where(one)}, mean average precision is "
                f"{shown(worst.value)} for {rows[0].value} and {shown(best.value)} for {rows[-1].value}."
            )
            yield _said("groups", one, None, {"worst": worst.value, "best": best.value}, words)


def _precision(group: Subgroup) -> float:
    return group.mean_ap50.value if group.mean_ap50 else 0.0


def _weak_figures(one: Evaluation) -> Iterator[Weakness]:
    if one.synthetic:
        return
    few = {row.name: row.n_boxes for row in one.concepts if 0 < row.n_boxes < FEW_BOXES}
    if few:
        words = (
            f"Some figures say next to nothing: on {where(one)}, fewer than {shown(FEW_BOXES)} were marked each of "
            f"{_counted(few)}."
        )
        yield _said("few examples", one, None, {**few, "fewer_than": FEW_BOXES}, words)
    blind = [row.name for row in one.concepts if row.n_boxes and not row.n_exhaustive]
    if blind:
        words = (
            f"Figures of {_listed(blind)} on {where(one)} flatter: no image is known to be free of it, so false boxes "
            "could not be counted."
        )
        yield _said("false boxes uncounted", one, None, {}, words)


def _training(classes: Sequence[ClassCount], measured: Collection[tuple[Domain | None, str]]) -> Iterator[Weakness]:
    for domain in sorted({row.domain for row in classes}):
        own = [row for row in classes if row.domain == domain]
        synthetic: dict[str, float | int] = {row.name: row.boxes for row in own if row.synthetic_only}
        rare = {row.name: row.real_boxes for row in own if row.rare and not row.synthetic_only}
        if synthetic:
            unknown = [row.name for row in own if row.synthetic_only and (domain, row.concept) not in measured]
            words = f"On {domain.value}s it learnt {_listed(list(synthetic))} from synthetic images only."
            if len(unknown) == len(synthetic):
                words += " How it does on patients nobody knows."
            elif unknown:
                words += f" How it does on patients with {_listed(unknown)} nobody knows."
            yield Weakness(rule="synthetic only", evaluation=None, concept=None, numbers=synthetic, words=words)
        if rare:
            words = (
                f"On {domain.value}s it learnt from fewer than {shown(RARE_REAL_BOXES)} real examples each: "
                f"{_counted(rare)}."
            )
            numbers: dict[str, float | int] = {**rare, "fewer_than": RARE_REAL_BOXES}
            yield Weakness(rule="few real examples", evaluation=None, concept=None, numbers=numbers, words=words)


def _unmeasured(evaluations: Sequence[Evaluation], classes: Sequence[ClassCount]) -> Iterator[Weakness]:
    real = [one for one in evaluations if not one.synthetic]
    measured = _measured_real(evaluations)
    for domain in sorted({row.domain for row in classes}):
        left = [row.name for row in classes if row.domain == domain and (domain, row.concept) not in measured]
        if left:
            measured_at_all = any(one.domain == domain for one in evaluations)
            where = f"real {domain.value}s" if measured_at_all else f"{domain.value}s, neither real nor synthetic,"
            words = f"Never measured on {where} here: {_listed(left)}."
            yield Weakness(rule="unmeasured", evaluation=None, concept=None, numbers={}, words=words)
    yield from _people(real)


def _measured_real(evaluations: Sequence[Evaluation]) -> set[tuple[Domain | None, str]]:
    """Findings that were measured on real images of a kind."""
    real = [one for one in evaluations if not one.synthetic]
    return {(one.domain, row.concept) for one in real for row in one.concepts if row.n_boxes}


def _people(real: Sequence[Evaluation]) -> Iterator[Weakness]:
    """Who cannot be told apart from others, and children."""
    unknown = [axis for axis in PEOPLE if all(axis in one.unknown_axes for one in real)]
    if unknown:
        axes = _listed([axis.value.replace("_", " ") for axis in unknown])
        words = (
            f"Whether it does as well for everyone cannot be told: of the real images that it was measured on, {axes} "
            "cannot be compared, for they were not read from any source."
        )
        yield Weakness(rule="people unknown", evaluation=None, concept=None, numbers={}, words=words)
    if not any(group.axis == Axis.AGE_BAND and group.value == CHILDREN for one in real for group in one.subgroups):
        words = (
            "How it does on children's images is not known: no measured image is known to be of a child, "
            "and whether children are among them is not known."
        )
        yield Weakness(rule="children unmeasured", evaluation=None, concept=None, numbers={}, words=words)


def _said(
    rule: str, one: Evaluation, row: ConceptResult | None, numbers: dict[str, float | int], words: str
) -> Weakness:
    concept = row.concept if row else None
    return Weakness(rule=rule, evaluation=one.name, concept=concept, numbers=numbers, words=words)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _counted(counts: dict[str, int]) -> str:
    return _listed([f"{name} ({shown(n)})" for name, n in counts.items()])
