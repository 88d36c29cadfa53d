"""What answers to ambiguous questions come to: which lesion was shown for the one that was meant, and how often."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import Field

from medground.data.ambiguous.cases import DOUBTS, KINDS, LANGUAGES, Doubt, Kind
from medground.data.ambiguous.words import Language
from medground.evaluation.overlap import BoxPx, assign, iou_matrix
from medground.schema.config import StrictConfig
from medground.schema.result import Verdict

LEAST_IOU = 0.5
_Z = 1.959964  # of a normal distribution, 95% lie within it


class Outcome(StrEnum):
    """What an answer comes to.

    `WRONG`: found, and a box shows what was not meant. `PARTLY`: found, and what is shown was meant, but a lesion is
    missing or shown twice. The verdicts other than found stand for themselves.
    """

    RESOLVED = "resolved"
    WRONG = "wrong found"
    PARTLY = "partly found"
    UNCERTAIN = "uncertain"
    NOT_FOUND = "not found"
    UNSUPPORTED = "unsupported"


_OF_VERDICT = {
    Verdict.UNCERTAIN: Outcome.UNCERTAIN,
    Verdict.NOT_FOUND: Outcome.NOT_FOUND,
    Verdict.UNSUPPORTED: Outcome.UNSUPPORTED,
}
RIGHT = {True: (Outcome.RESOLVED,), False: (Outcome.UNCERTAIN, Outcome.UNSUPPORTED)}
"""The outcomes that are right, of a decidable question and of one without an answer."""


def outcome_of(verdict: Verdict, shown: Sequence[BoxPx], meant: Sequence[BoxPx]) -> Outcome:
    """Judges an answer.

    Args:
        verdict: of the answer.
        shown: its boxes, best score first.
        meant: boxes of the lesions that are meant; none where the film does not decide, then nothing may be found.

    Returns:
        What it comes to: resolved where every shown box takes a lesion of its own at an IoU of at least a half, and
        every lesion that is meant is taken.
    """
    if verdict != Verdict.FOUND:
        return _OF_VERDICT[verdict]
    iou_DG = iou_matrix(shown, meant)
    if not meant or (iou_DG < LEAST_IOU).all(axis=1).any():
        return Outcome.WRONG
    taken_D = assign(iou_DG, LEAST_IOU, np.ones(len(meant), dtype=np.bool_))
    exact = len(shown) == len(meant) and bool((taken_D >= 0).all())
    return Outcome.RESOLVED if exact else Outcome.PARTLY


class Asked(StrictConfig):
    """One question, what was meant by it, and what a system made of it."""

    seed: int
    language: Language
    kind: Kind
    form: str
    doubt: Doubt | None
    concepts: tuple[str, ...]
    question: str
    meant: tuple[BoxPx, ...]
    shown: tuple[BoxPx, ...]
    outcome: Outcome

    @property
    def decidable(self) -> bool:
        """Whether the film decides what is meant."""
        return self.doubt is None

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.outcome in RIGHT[self.decidable]


class Share(StrictConfig):
    """How many of how many, with the limits of the 95% interval; None of nothing."""

    hits: int = Field(ge=0)
    n: int = Field(ge=0)
    low: float | None
    high: float | None


def wilson(hits: int, n: int) -> Share:
    """A share with its 95% score interval.

    Source: Wilson, Journal of the American Statistical Association 22 (1927).
    """
    if not n:
        return Share(hits=hits, n=n, low=None, high=None)
    p, z2 = hits / n, _Z * _Z
    centre = p + z2 / (2 * n)
    half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = (max((centre - half) / (1 + z2 / n), 0.0), min((centre + half) / (1 + z2 / n), 1.0))
    return Share(hits=hits, n=n, low=low, high=high)


class Row(StrictConfig):
    """Some questions together.

    Attributes:
        name: kind of the decidable ones, doubt of the others, or `all`.
        language: `en`, `zh`, or `both`.
        outcomes: how many came to what.
        right, wrong: shares of the right answers, and of those that show what was not meant.
    """

    name: str
    language: Literal["en", "zh", "both"]
    outcomes: dict[Outcome, int]
    right: Share
    wrong: Share


class SystemScore(StrictConfig):
    """Everything one system was asked.

    Attributes:
        system: name and version of what was measured.
        decidable, undecidable: by kind or doubt and language; each name ends with both languages, and `all` is last.
        wrong: share of all questions that show what was not meant.
        asked: one by one.
    """

    system: str
    decidable: tuple[Row, ...]
    undecidable: tuple[Row, ...]
    wrong: Share
    asked: tuple[Asked, ...]


class AmbiguousReport(StrictConfig):
    """The report.

    Attributes:
        format: of the file.
        plain: whether only the concepts were asked for and the best box of each was taken.
        systems: the reader that is told the truth, then the bundle.
    """

    format: Literal[1] = 1
    plain: bool
    systems: tuple[SystemScore, ...]


def score(system: str, asked: Sequence[Asked]) -> SystemScore:
    """The score of a system over its answers."""
    decidable, undecidable = ([one for one in asked if one.decidable is whether] for whether in (True, False))
    return SystemScore(
        system=system,
        decidable=tuple(_rows([(kind, [one for one in decidable if one.kind == kind]) for kind in KINDS], decidable)),
        undecidable=tuple(
            _rows([(doubt, [one for one in undecidable if one.doubt == doubt]) for doubt in DOUBTS], undecidable)
        ),
        wrong=wilson(sum(one.outcome == Outcome.WRONG for one in asked), len(asked)),
        asked=tuple(asked),
    )


def _rows(groups: Sequence[tuple[str, Sequence[Asked]]], everything: Sequence[Asked]) -> Iterable[Row]:
    for name, group in [*groups, ("all", everything)]:
        for language in LANGUAGES:
            yield _row(name, language, [one for one in group if one.language == language])
        yield _row(name, "both", group)


def _row(name: str, language: Literal["en", "zh", "both"], asked: Sequence[Asked]) -> Row:
    tally = Counter(one.outcome for one in asked)
    return Row(
        name=name,
        language=language,
        outcomes={outcome: tally[outcome] for outcome in Outcome},
        right=wilson(sum(one.right for one in asked), len(asked)),
        wrong=wilson(tally[Outcome.WRONG], len(asked)),
    )


def to_markdown(report: AmbiguousReport) -> str:
    """The report as Markdown: for each system a table of the decidable questions and one of the others."""
    how = "only its concepts were asked for, and the best box of each is shown" if report.plain else "as it was written"
    lines = [
        f"# Ambiguous questions on phantom films\n\nEach question is asked {how}. In brackets 95% Wilson intervals.\n"
    ]
    for scored in report.systems:
        lines += [f"## {scored.system}\n", f"Wrong found, of everything asked: {_cell(scored.wrong)}\n"]
        lines += _table("decidable, by what tells the lesions apart", "resolved", scored.decidable)
        lines += _table("undecidable, by what leaves it open", "uncertain or unsupported", scored.undecidable)
    return "\n".join(lines) + "\n"


def _table(title: str, right: str, rows: Sequence[Row]) -> list[str]:
    others = [outcome for outcome in Outcome if outcome not in (Outcome.RESOLVED, Outcome.WRONG)]
    return [
        f"| {title} | language | {right} | wrong found | {' | '.join(others)} |",
        f"|---|---|--:|--:|{'--:|' * len(others)}",
        *(
            f"| {row.name} | {row.language} | {_cell(row.right)} | {_cell(row.wrong)} | "
            f"{' | '.join(str(row.outcomes[outcome]) for outcome in others)} |"
            for row in rows
        ),
        "",
    ]


def _cell(share: Share) -> str:
    if share.low is None or share.high is None:
        return "-"
    return f"{share.hits / share.n:.3f} [{share.low:.3f}, {share.high:.3f}] ({share.hits}/{share.n})"
