"""Computes a card again from its evidence, and says which number, sentence or byte is another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medground.cards.evidence import FOLDER, read_evidence
from medground.cards.export import FACTS, rendered
from medground.cards.facts import facts_of
from medground.cards.findings import Finding, Kind
from medground.cards.forms.facts_json import facts_file
from medground.schema.errors import CardError

MOST_BYTES = 64 << 20
_ABSENT = "nothing"
_LABELS = ("name", "value", "rule", "key")
"""Members that say in words what an object of the facts is about."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that comes out otherwise.

    Attributes:
        path: `$.evaluations[0].concepts[3].ap50.value` in the facts, or the name of a file that is rendered otherwise.
        stated: on the card.
        computed: from the evidence.
        file: of the card that states it.
        about: what the path is about, in words: `phantom, nodule`.
    """

    path: str
    stated: str
    computed: str
    file: str
    about: str = ""

    def finding(self) -> Finding:
        """The same as a finding of a check."""
        if self.path == self.file:
            return Finding(self.file, Kind.FORM, "it is not what its evidence gives, byte for byte")
        about = f" ({self.about})" if self.about else ""
        words = f"{self.path}{about} is {self.stated}, and from the evidence it is {self.computed}"
        return Finding(self.file, Kind.NUMBER, words)


def recompute(directory: Path) -> list[Difference]:
    """Computes the facts again and compares them leaf by leaf, then renders every form again and compares bytes.

    Args:
        directory: of the card.

    Returns:
        Every difference, the facts first; none for a card that says what its evidence gives.

    Raises:
        CardError: the evidence or the facts cannot be read.
    """
    stated = _stated(directory / FACTS)
    evidence = read_evidence(directory / FOLDER)
    facts = facts_of(evidence)
    computed = json.loads(facts_file(facts))
    found = list(_differences("$", stated, computed, ()))
    for name, content in rendered(facts, evidence):
        path = directory / name
        there = path.read_bytes() if path.is_file() and path.stat().st_size <= MOST_BYTES else None
        if there != content and not (name == FACTS and found):
            stated_as = _ABSENT if there is None else f"{len(there)} bytes"
            found.append(Difference(name, stated_as, f"{len(content)} bytes", name))
    return found


def _stated(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CardError(f"{FACTS} has more than {MOST_BYTES} bytes: it is none that was exported")
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CardError(f"{FACTS} of the card cannot be read: export the card anew") from error


def _differences(path: str, stated: Any, computed: Any, about: tuple[str, ...]) -> Iterator[Difference]:
    if isinstance(stated, dict) and isinstance(computed, dict):
        label = next((str(computed[key]) for key in _LABELS if isinstance(computed.get(key), str)), None)
        about = about if label is None else (*about, label)
        for key in [*computed, *(key for key in stated if key not in computed)]:
            yield from _differences(f"{path}.{key}", stated.get(key, _Absent), computed.get(key, _Absent), about)
    elif isinstance(stated, list) and isinstance(computed, list):
        for row in range(max(len(stated), len(computed))):
            left, right = (side[row] if row < len(side) else _Absent for side in (stated, computed))
            yield from _differences(f"{path}[{row}]", left, right, about)
    elif type(stated) is not type(computed) or stated != computed:
        yield Difference(path, _words(stated), _words(computed), FACTS, ", ".join(about))


class _Absent:
    """Stands where one side has nothing."""


def _words(value: Any) -> str:
    if value is _Absent:
        return _ABSENT
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
