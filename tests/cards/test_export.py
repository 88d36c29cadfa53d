from __future__ import annotations

from pathlib import Path

import pytest

from medground.cards.card_file import read_card
from medground.cards.collect import write_evidence
from medground.cards.evidence import read_evidence
from medground.cards.export import export_card
from medground.schema.errors import UsageError
from tests.cards.made_evidence import COLLECTED_AT, made_evidence


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_two_exports_of_one_evidence_are_the_same_bytes(tmp_path):
    write_evidence(made_evidence(), tmp_path / "evidence")
    for name in ("one", "two"):
        export_card(read_evidence(tmp_path / "evidence"), tmp_path / name)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    card = read_card((tmp_path / "one" / "card.json").read_bytes())
    assert card.exported_at == COLLECTED_AT
    assert set(card.files) == set(content(tmp_path / "one")) - {"card.json"}
    assert {"facts.json", "MODEL_CARD.md", "model_card.html", "evidence/manifest.json"} < set(card.files)


def test_what_seals_it_sees_the_whole_card_before_it_appears(tmp_path):
    seen = []

    def seal(directory: Path) -> None:
        assert not (tmp_path / "card").exists()
        seen.extend(content(directory))
        (directory / "card.sig").write_bytes(b"signed")

    export_card(made_evidence(), tmp_path / "card", seal=seal)
    assert "card.json" in seen
    assert (tmp_path / "card" / "card.sig").read_bytes() == b"signed"


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    def fail(directory: Path) -> None:
        raise RuntimeError("no key")

    with pytest.raises(RuntimeError, match="no key"):
        export_card(made_evidence(), tmp_path / "card", seal=fail)
    assert list(tmp_path.iterdir()) == []
    export_card(made_evidence(), tmp_path / "card")
    before = content(tmp_path / "card")
    with pytest.raises(RuntimeError, match="no key"):
        export_card(made_evidence(), tmp_path / "card", seal=fail, replace=True)
    assert content(tmp_path / "card") == before
    assert [path.name for path in tmp_path.iterdir()] == ["card"]


def test_a_card_is_replaced_only_if_asked_and_anything_else_never(tmp_path):
    export_card(made_evidence(), tmp_path / "card")
    (tmp_path / "card" / "left over").write_text("x")
    with pytest.raises(UsageError, match="--replace"):
        export_card(made_evidence(), tmp_path / "card")
    export_card(made_evidence(), tmp_path / "card", replace=True)
    assert "left over" not in content(tmp_path / "card")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.md").write_text("x")
    with pytest.raises(UsageError, match="is no card"):
        export_card(made_evidence(), tmp_path / "other", replace=True)
    assert content(tmp_path / "other") == {"thesis.md": b"x"}
