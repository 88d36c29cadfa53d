"""The chapters of a card about what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from medground.cards.blocks import Block, Drawn, Plot, Section, Table, Words
from medground.cards.contents import CardFacts, Method
from medground.cards.results import ConceptResult, Evaluation, Share
from medground.cards.rounding import NOTHING, shown
from medground.evaluation.bootstrap import Interval
from medground.evaluation.verdicts import VerdictCounts, VerdictScore

_LOOKS = {
    "once": "Images were looked at as a whole only",
    "closer": "Images were looked at as a whole, and at full resolution where that may show more",
    "all": "Images were looked at as a whole, and everywhere at full resolution",
}


def result_sections(facts: CardFacts) -> Iterator[Section]:
    """How figures were made, then each evaluation in parts."""
    yield Section("Results", (Words(_method(facts)),))
    for index, one in enumerate(facts.evaluations):
        yield from _evaluation(index, one, facts.method)


def _method(facts: CardFacts) -> str:
    method = facts.method
    low, high = shown(method.overlaps[0], "setting"), shown(method.overlaps[-1], "setting")
    return (
        f"AP is average precision as COCO defines it: at an overlap of {shown(method.overlap, 'setting')}, and as the "
        f"mean over overlaps from {low} to {high}. FROC is sensitivity at {shown(method.allowances[0], 'setting')} to "
        f"{shown(method.allowances[-1], 'setting')} false boxes an image, and its mean. In brackets stands the "
        f"{shown(method.level, 'percent')}% interval by resampling patients. False boxes on an image without the "
        f"finding are counted at the score where {shown(method.found_share, 'percent')}% of the findings are found. "
        f"Findings stand rarest first by their real boxes in training; below {shown(method.rare_below)} they are "
        "called rare. A dash stands where there is nothing to measure by."
    )


def _evaluation(index: int, one: Evaluation, method: Method) -> Iterator[Section]:
    made = "Every image is synthetic: these figures say nothing of patients." if one.synthetic else "Real images."
    apart = "" if one.synthetic else " as far as the source tells them apart"
    unseen = "none of them trained or tuned on"
    if one.touched:
        unseen = f"not known to be unseen in training, for this part {one.touched}"
    intro = (
        f"{made} {shown(one.n_images)} images of {shown(one.n_patients)} patients{apart}, {unseen}; "
        f"{shown(one.resamples)} resamples, seed {shown(one.seed)}. Measured: {one.system}."
    )
    if one.look:
        intro += f" {_LOOKS[one.look]}, whatever the model does by itself."
    yield Section(f"On {one.data}", (Words(intro), *_boxes(one, method), Plot(Drawn.PRECISION, index)), 3)
    curves = [row for row in one.concepts if row.froc]
    if curves:
        yield Section(
            f"FROC on {one.data}",
            (
                Words("Share of the marked findings that are boxed, by false boxes an image."),
                _froc(curves, method),
                Plot(Drawn.FROC, index),
            ),
            3,
        )
    if one.answers:
        yield Section(f"Answers on {one.data}", tuple(_answers(index, one)), 3)
    yield Section(f"Groups on {one.data}", tuple(_groups(one)), 3)


def _boxes(one: Evaluation, method: Method) -> Iterator[Block]:
    heads = (
        "finding",
        "real boxes in training",
        f"AP at {shown(method.overlap, 'setting')}",
        "AP over overlaps",
        "mean of FROC",
        "false boxes on an image without",
        "images",
        "boxes",
    )
    rows = [
        (
            _name(row),
            shown(row.real_boxes),
            _interval(row.ap50),
            _interval(row.ap),
            _interval(row.froc_mean),
            _interval(row.false_on_normal),
            shown(row.n_images),
            shown(row.n_boxes),
        )
        for row in one.concepts
    ]
    for name, ap50, ap, froc in (
        ("mean of the rare", one.mean_ap50_rare, None, None),
        ("mean", one.mean_ap50, one.mean_ap, one.mean_froc),
    ):
        if ap50:
            n = (shown(ap50.n_images), shown(ap50.n_boxes))
            rows.append((name, "", _interval(ap50), _interval(ap), _interval(froc), "", *n))
    yield Table(heads, tuple(rows))


def _name(row: ConceptResult) -> str:
    kinds = ["synthetic only"] if row.synthetic_only else ["rare"] if row.rare else []
    return f"{row.name} ({', '.join(kinds)})" if kinds else row.name


def _froc(rows: list[ConceptResult], method: Method) -> Table:
    heads = ("finding", *(shown(allowance, "setting") for allowance in method.allowances))
    return Table(heads, tuple((row.name, *(shown(p.sensitivity) for p in row.froc.points)) for row in rows if row.froc))


def _answers(index: int, one: Evaluation) -> Iterator[Block]:
    yield Words(
        "Questions about findings that are there, and about findings that are known not to be: how many were answered "
        "found / uncertain / not found / unsupported."
    )
    heads = ("finding", "there", "not there", "sensitivity", "specificity", "AUROC", "calibration error", "Brier score")
    rows = [_answer_row(row.name, row.answers) for row in one.concepts if row.answers]
    if one.answers:
        rows.append(_answer_row("all", one.answers))
    yield Table(heads, tuple(rows))
    if one.absent_error:
        yield Words(
            f"Absent-question error: {_share(one.absent_error)} of {shown(one.absent_error.n)} questions about what is "
            'not there were answered "found".'
        )
    if one.ece and one.calibration:
        yield Words(
            f"Calibration of presence: expected calibration error {_share(one.ece)} over {shown(one.ece.n)} answers."
        )
        yield Table(
            ("stated probability", "answers", "mean stated", "share there"),
            tuple(
                (
                    f"{shown(each.low, 'setting')} to {shown(each.high, 'setting')}",
                    shown(each.n),
                    shown(each.mean_probability),
                    shown(each.observed),
                )
                for each in one.calibration.bins
            ),
        )
        yield Plot(Drawn.CALIBRATION, index)


def _answer_row(name: str, score: VerdictScore) -> tuple[str, ...]:
    ece, brier = (score.calibration.ece, score.calibration.brier) if score.calibration else (None, None)
    numbers = (score.sensitivity, score.specificity, score.auroc, ece, brier)
    return (name, _counts(score.present), _counts(score.absent), *(shown(number) for number in numbers))


def _counts(counts: VerdictCounts) -> str:
    return " / ".join(shown(n) for n in (counts.found, counts.uncertain, counts.not_found, counts.unsupported))


def _groups(one: Evaluation) -> Iterator[Block]:
    heads = (
        "by",
        "group",
        "images",
        "patients",
        "boxes",
        "mean AP",
        "there: found",
        "not there: found",
    )
    rows = [
        (
            group.axis.value.replace("_", " "),
            group.value,
            shown(group.n_images),
            shown(group.n_patients),
            shown(group.n_boxes),
            _interval(group.mean_ap50),
            _share(group.found),
            _share(group.absent_error),
        )
        for group in one.subgroups
    ]
    rows += [
        ("size of lesion", size.name, NOTHING, NOTHING, shown(size.n_boxes), _interval(size.ap50), NOTHING, NOTHING)
        for size in one.sizes
    ]
    if rows:
        yield Words("Means are over the findings that a group has boxes of, so groups may differ by what they show.")
        yield Table(heads, tuple(rows), words=2)
    if one.sizes:
        limits = ", ".join(
            f"{size.name} from {shown(size.low_px2, 'setting')}"
            + (f" to {shown(size.high_px2, 'setting')}" if size.high_px2 is not None else "")
            for size in one.sizes
        )
        side = one.sizes[0].long_side_px
        yield Words(f"Sizes in square pixels of the image scaled to a long side of {shown(side, 'setting')}: {limits}.")
    if one.unknown_axes:
        unknown = ", ".join(axis.value.replace("_", " ") for axis in one.unknown_axes)
        yield Words(f"Not known of any image here, so not broken down by: {unknown}.")


def _interval(interval: Interval | None) -> str:
    return shown(None) if interval is None else _bracketed(interval.value, interval.low, interval.high)


def _share(share: Share | None) -> str:
    return shown(None) if share is None else _bracketed(share.value, share.low, share.high)


def _bracketed(value: float, low: float, high: float) -> str:
    return f"{shown(value)} [{shown(low)}, {shown(high)}]"
