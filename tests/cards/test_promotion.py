"""Promotion in a real registry and a real log: the alias moves only when the gate lets it, whenever it is killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.audit.verify import verify as verify_log
from medground.cards.keys import load_public_key, make_key_pair
from medground.cards.promotion import (
    CARD,
    DECISION_TAG,
    DECISIONS,
    REASONS_TAG,
    PromotionRecord,
    Proposal,
    Step,
    carry_out,
    propose,
)
from medground.cards.registry import Rule
from medground.schema.errors import UsageError
from medground.tracking.registry import ModelRegistry
from medground.tracking.store import open_store
from tests.audit.chains import Clock
from tests.cards.made_cards import COMMON, RARE, USUAL, films, made_bundle, signed_card

ALIAS, MODEL = "champion", "medground-compact"
FOUND = {
    "usual": USUAL,
    "better": {**dict.fromkeys(COMMON, 19), RARE: 18},
    "worse": {**dict.fromkeys(COMMON, 5), RARE: 16},
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models with their cards, the key that signed them, and an empty store."""
    folder = tmp_path_factory.mktemp("models")
    private, _ = make_key_pair(folder / "keys")
    for name, found in FOUND.items():
        bundle = made_bundle(folder / name, name)
        signed_card(folder / f"{name}_card", bundle, {"films": films(found)}, private)
    again = {"films": films(FOUND["worse"])}
    signed_card(folder / "better_again_card", folder / "better", again, private)
    open_store(folder / "store", "medground")
    return folder


@dataclass
class Place:
    """A registry and a log of a test's own."""

    shelf: Path
    folder: Path

    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.folder / "store")

    def proposal(self, name: str, **more: Path) -> Proposal:
        key = load_public_key(self.shelf / "keys" / "card-key.pub")
        card = more.pop("card", self.shelf / f"{name}_card")
        return propose(self.registry(), card, self.shelf / name, [key], alias=ALIAS, **more)

    def log(self) -> AuditLog:
        engine = create_engine(f"sqlite:///{self.folder / 'audit.db'}")
        create_tables(engine)
        return AuditLog(engine, lambda: datetime.now(UTC))

    def promote(self, name: str, **more: Path) -> PromotionRecord:
        return carry_out(self.proposal(name, **more), self.registry(), self.log(), Clock())

    def current(self) -> str | None:
        holder = self.registry().holder(MODEL, ALIAS)
        bundle = holder and self.registry().folder(holder, "bundle")
        return json.loads((bundle / "manifest.json").read_bytes())["version"] if bundle else None


@pytest.fixture
def place(shelf: Path, tmp_path: Path) -> Place:
    shutil.copytree(shelf / "store", tmp_path / "store")
    return Place(shelf, tmp_path)


def test_the_alias_moves_only_to_a_model_that_is_not_worse(place: Place) -> None:
    first = place.promote("usual")
    assert (first.version, first.before, first.decision.promoted) == (1, None, True)
    assert place.current() == "usual"
    refused = place.promote("worse")
    assert (refused.version, refused.before, refused.decision.broken) == (2, 1, (Rule.MEAN,))
    assert place.current() == "usual"
    promoted = place.promote("better")
    assert (promoted.version, promoted.before, promoted.decision.promoted) == (3, 1, True)
    assert place.current() == "better"
    assert place.promote("usual").decision.broken == (Rule.MEAN,)  # there is no way back but by hand
    assert place.current() == "better"


def test_a_decision_is_kept_in_three_places_that_say_the_same(place: Place) -> None:
    place.promote("usual")
    record = place.promote("worse")
    (version, _) = place.registry().versions(MODEL)
    assert (version.tags[DECISION_TAG], version.aliases) == ("refused", ())
    assert version.tags[REASONS_TAG].startswith("films, mean AP50: 0.394, the current one 0.653 [")
    folder = place.registry().folder(version, DECISIONS)
    assert folder is not None
    kept = PromotionRecord.model_validate_json((folder / f"{record.audit_entry:08d}.json").read_bytes())
    assert kept == record
    entry = place.log().latest(limit=1)[0]
    assert (entry.sequence, entry.hash) == (record.audit_entry, record.audit_hash)
    assert entry.event.object_id == record.bundle_sha256
    assert entry.event.details == {
        "kind": "model-promotion",
        "digest": f"sha256:{kept.digest()}",
        "state": "refused",
        "reason": "mean",
        "version": "2",
    }
    assert kept.model_copy(update={"version": 3}).digest() != kept.digest()
    engine = create_engine(f"sqlite:///{place.folder / 'audit.db'}")
    assert verify_log(engine, []).broken is None


def test_a_card_that_does_not_hold_is_refused_and_not_kept(place: Place, tmp_path: Path) -> None:
    card = Path(shutil.copytree(place.shelf / "usual_card", tmp_path / "edited"))
    (card / "MODEL_CARD.md").write_text("# better\n")
    record = place.promote("usual", card=card)
    assert record.decision.broken == (Rule.CARD,)
    (version,) = place.registry().versions(MODEL)
    assert place.registry().folder(version, CARD) is None
    assert place.current() is None
    whole = place.promote("usual")
    assert (whole.version, whole.decision.promoted) == (2, True)


def test_the_card_of_another_bundle_is_refused(place: Place) -> None:
    record = place.promote("usual", card=place.shelf / "better_card")
    assert record.decision.broken == (Rule.BUNDLE,)
    assert place.current() is None


def test_a_current_model_that_came_without_its_card(place: Place) -> None:
    registry = place.registry()
    sha256 = place.proposal("usual").info.sha256
    version = registry.put(MODEL, {"manifest_sha256": sha256}, {"bundle": place.shelf / "usual"})
    registry.move(ALIAS, version)
    assert place.promote("better").decision.broken == (Rule.PREDECESSOR,)
    assert place.current() == "usual"
    assert place.promote("better", current_card=place.shelf / "worse_card").decision.broken == (Rule.PREDECESSOR,)
    assert place.promote("better", current_card=place.shelf / "usual_card").decision.promoted
    assert place.current() == "better"


def test_a_card_that_is_given_does_not_take_the_place_of_the_one_that_is_kept(place: Place) -> None:
    place.promote("better")
    assert place.promote("worse", current_card=place.shelf / "worse_card").decision.broken == (Rule.MEAN,)
    assert place.current() == "better"


def test_another_card_in_the_place_of_the_one_that_was_decided_about(place: Place) -> None:
    place.promote("better")
    holder = place.registry().holder(MODEL, ALIAS)
    assert holder is not None
    kept = place.registry().folder(holder, CARD)
    assert kept is not None
    shutil.rmtree(kept)
    shutil.copytree(place.shelf / "better_again_card", kept)  # holds, and is of the same bundle
    record = place.promote("worse")
    assert record.decision.broken == (Rule.PREDECESSOR,)
    assert "another card than the one that the registry decided about" in record.decision.reasons[0]
    assert place.current() == "better"


@pytest.mark.parametrize("gone", ["bundle", CARD])
def test_files_that_the_registry_lost(place: Place, gone: str) -> None:
    place.promote("usual")
    holder = place.registry().holder(MODEL, ALIAS)
    assert holder is not None
    kept = place.registry().folder(holder, gone)
    assert kept is not None
    shutil.rmtree(kept)
    with pytest.raises(UsageError, match="lost files of version 1"):
        place.promote("usual", current_card=place.shelf / "usual_card")


def test_a_card_that_changes_meanwhile(place: Place, tmp_path: Path) -> None:
    card = Path(shutil.copytree(place.shelf / "usual_card", tmp_path / "usual"))
    early = place.proposal("usual", card=card)
    (card / "MODEL_CARD.md").write_text("# better\n")
    with pytest.raises(UsageError, match="card changed while it was copied"):
        carry_out(early, place.registry(), place.log(), Clock())
    assert place.current() is None


def test_whoever_looked_before_another_one_moved_the_alias_has_to_look_again(place: Place) -> None:
    early = place.proposal("usual")
    place.promote("better")
    with pytest.raises(UsageError, match="moved to version 1 since the gate looked"):
        carry_out(early, place.registry(), place.log(), Clock())
    assert place.current() == "better"
    assert len(place.registry().versions(MODEL)) == 1


def test_a_bundle_that_changes_meanwhile(place: Place, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(place.shelf / "usual", tmp_path / "usual"))
    key = load_public_key(place.shelf / "keys" / "card-key.pub")
    early = propose(place.registry(), place.shelf / "usual_card", bundle, [key], alias=ALIAS)
    made_again = json.loads((bundle / "manifest.json").read_text()) | {"version": "other"}
    (bundle / "manifest.json").write_text(json.dumps(made_again))
    with pytest.raises(UsageError, match="changed while it was copied"):
        carry_out(early, place.registry(), place.log(), Clock())
    assert place.current() is None


KILLED = """
import os, signal, sys
from pathlib import Path
from medground.cards.promotion import Step, carry_out
from tests.audit.chains import Clock
from tests.cards.test_promotion import Place

place = Place(Path(sys.argv[1]), Path(sys.argv[2]))

def done(step):
    if step is Step(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

carry_out(place.proposal("better"), place.registry(), place.log(), Clock(), done=done)
"""


@pytest.mark.parametrize("step", Step)
def test_killed_between_steps(place: Place, step: Step) -> None:
    place.promote("usual")
    words = [sys.executable, "-c", KILLED, str(place.shelf), str(place.folder), step.value]
    done = subprocess.run(words, capture_output=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    version = max(place.registry().versions(MODEL), key=lambda one: one.number)
    assert place.current() == ("better" if step is Step.MOVED else "usual")
    if step in (Step.NOTED, Step.MOVED):
        assert version.tags[DECISION_TAG] == "promoted"
    again = place.promote("better")
    assert (again.version, place.current()) == (2, "better")
    assert [one.number for one in place.registry().versions(MODEL)] == [2, 1]
    assert place.registry().versions(MODEL)[0].tags[DECISION_TAG] == "promoted"
    engine = create_engine(f"sqlite:///{place.folder / 'audit.db'}")
    assert verify_log(engine, []).broken is None
