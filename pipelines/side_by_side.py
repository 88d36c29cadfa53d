"""Measurements of several runs set side by side: which belong together, and a table where a run kept its figures alone.

Without a scene nothing can be resampled for both runs at once: their figures stand there with their own intervals.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medground.evaluation.bootstrap import Interval
from medground.evaluation.scene import Scene
from medground.tracking import figures
from medground.tracking.figures import Figure
from medground.tracking.kept import Evaluation

# `evaluate` and `measure` call the same films by other names.
SAME_DATA = {
    "real chest radiographs, valid part": "cxr, valid part",
    "real limb radiographs, valid part": "fracatlas, valid part",
}
_SIZES = (figures.AP50_SMALL, figures.AP50_MEDIUM, figures.AP50_LARGE)
_RARE = figures.ap50_rare("")
_FAMILIES = ("ap50/rare", "ap50", "ap", "froc", "false_on_normal", "ece", "auroc")


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement of a run: its scene, or what was logged of it.

    Attributes:
        name: of the run that keeps it, such as `evaluation limb`; empty for a scene.
        system: what was measured.
        data: name of the data set and its part.
        images: how many; None where unknown.
        scene: None where only figures were kept.
        figures: by name; empty with a scene, which gives them.
    """

    name: str
    system: str
    data: str
    images: int | None
    scene: Scene | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)


def of_scene(scene: Scene) -> Measured:
    """A measurement whose scene was kept."""
    return Measured("", scene.system, scene.data, len(scene.images), scene)


def of_evaluation(kept: Evaluation) -> Measured:
    """A measurement of which the figures were logged."""
    return Measured(kept.name, kept.system, kept.data or kept.name, kept.images, figures=kept.figures)


def together(runs: Sequence[Sequence[Measured]]) -> list[tuple[Measured, ...]]:
    """The measurements that all runs have, one of each run, in the order of the first run.

    Two belong together that are of the same data and have the same name. Of a run that measured data in several ways
    (prototypes at other shares, mirrored) the plain way is compared with what has another name.
    """
    out = []
    for one in runs[0]:
        row = [one, *(other for run in runs[1:] if (other := _partner(one, runs[0], run)))]
        if len(row) == len(runs):
            out.append(tuple(row))
    return out


def _partner(one: Measured, own: Sequence[Measured], others: Sequence[Measured]) -> Measured | None:
    near = sorted((o for o in others if _of_same_data(one, o)), key=lambda other: other.data != one.data)
    for other in near:
        if other.name == one.name:
            return other
    return _plain(near) if one is _plain([o for o in own if _of_same_data(one, o)]) else None


def _of_same_data(one: Measured, other: Measured) -> bool:
    counts = {one.images, other.images} - {None}
    return len(counts) < 2 and SAME_DATA.get(one.data, one.data) == SAME_DATA.get(other.data, other.data)


def _plain(ways: Sequence[Measured]) -> Measured | None:
    """The way whose name all the others only add to; None if there is none."""
    shortest = min(ways, key=lambda way: len(way.name), default=None)
    return shortest if shortest and all(way.name.startswith(shortest.name) for way in ways) else None


def why_unpaired(labels: Sequence[str], measured: Sequence[Measured]) -> str:
    """Why some runs have no paired differences, in a sentence."""
    names = " and ".join(repr(label) for label, one in zip(labels, measured, strict=True) if one.scene is None)
    return (
        f"No scene of {names} was kept, only figures with their own intervals, so they are not paired; "
        "train or measure here for paired intervals."
    )


def section(
    measured: Sequence[Measured],
    found: Sequence[Mapping[str, Figure]],
    differences: Mapping[str, Sequence[Interval | None]],
    why: str,
) -> str:
    """The figures of runs of which at least one kept no scene, as a table in HTML.

    Args:
        measured: one of each run.
        found: the figures of each run by name.
        differences: by name, of each run but the first its paired difference to the first; empty if there are none.
        why: some runs have none.
    """
    told = "; ".join(
        f"run {number}: {html.escape(one.system or one.name)}, {html.escape(one.data)}"
        + ("" if one.images is None else f", {one.images} images")
        for number, one in enumerate(measured, start=1)
    )
    heads = ["figure", "run 1", "n"]
    for number in range(2, len(measured) + 1):
        heads += [f"run {number}", "n", *([f"run {number} - run 1"] if differences else [])]
    parts = [
        f"<h2>{html.escape(measured[0].data)}</h2><p>{told}.</p><p>{html.escape(why)} "
        "Where n differs, a figure is not of the same boxes or questions.</p>",
        f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>",
    ]
    for name in in_order(found):
        cells = [f"<td>{name}</td>"]
        for number, mine in enumerate(found):
            figure = _shown(name, mine, found[0])
            cells += [f"<td>{words(figure)}</td>", f"<td>{'-' if figure is None else figure.n}</td>"]
            if number and differences:
                cells.append(difference_cell(differences[name][number - 1] if name in differences else None))
        parts.append(f"<tr{shade(name)}>{''.join(cells)}</tr>")
    return "\n".join([*parts, "</table>"])


def in_order(found: Sequence[Mapping[str, Figure]]) -> list[str]:
    """Names of the figures of several runs: what is rare to run 1, means, sizes, concepts (the rare first), answers."""
    rare_rows = {name for name in found[0] if name.startswith(_RARE)}
    rare = {name.removeprefix(_RARE) for name in rare_rows} - {figures.MEAN}
    common = {name for mine in found for name in mine if not name.startswith(_RARE)}

    def place(name: str) -> tuple[object, ...]:
        family, _, about = name.rpartition("/")
        kind = _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)
        if family == "ap50/rare":
            return 0, about != figures.MEAN, about, kind
        if about == figures.MEAN:
            return 1, False, "", kind
        if name in _SIZES:
            return 2, False, "", _SIZES.index(name)
        if about == figures.ALL or name == figures.ABSENT_ERROR:
            return 4, False, "", kind
        return 3, about not in rare, about, kind

    return sorted(rare_rows | common - {figures.ap50(concept) for concept in rare}, key=place)


def _shown(name: str, mine: Mapping[str, Figure], first: Mapping[str, Figure]) -> Figure | None:
    """A figure of a run, where run 1 settles what is rare; the mean over the rare only if that is the same."""
    if not name.startswith(_RARE):
        return mine.get(name)
    if name == figures.ap50_rare(figures.MEAN):
        rare, same = ({key for key in each if key.startswith(_RARE)} for each in (mine, first))
        return mine.get(name) if rare == same else None
    return mine.get(name, mine.get(figures.ap50(name.removeprefix(_RARE))))


def shade(name: str) -> str:
    """The class of a row."""
    return ' class="rare"' if name.startswith(_RARE) else ""


def difference_cell(change: Interval | None) -> str:
    """A difference, coloured where its interval leaves out zero."""
    side = "" if change is None else "up" if change.low > 0 else "down" if change.high < 0 else ""
    return f'<td class="{side}">{words(change, sign="+")}</td>'


def words(value: Interval | Figure | None, *, sign: str = "") -> str:
    """A value with its interval, where it has one."""
    if value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:{sign}.3f}"
    return f"{value.value:{sign}.3f} [{value.low:{sign}.3f}, {value.high:{sign}.3f}]"
