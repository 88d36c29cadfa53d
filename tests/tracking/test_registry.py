"""The registry of models in a real store: versions once each, aliases, notes, and one writer at a time."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from medground.schema.errors import UsageError
from medground.tracking.registry import EXPERIMENT, LONGEST_TAG, ModelRegistry, home_of
from medground.tracking.runs import open_run
from medground.tracking.store import open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text("one")
    return folder


def test_a_version_is_there_once_with_copies_of_its_files(home: Path, folder: Path) -> None:
    registry = ModelRegistry(home)
    assert registry.versions() == []
    assert registry.holder("compact", "champion") is None
    first = registry.put("compact", {"sha": "1", "card": "a"}, {"bundle": folder})
    (folder / "manifest.json").write_text("two")
    again = registry.put("compact", {"sha": "1", "card": "a"}, {"bundle": folder})
    other = registry.put("compact", {"sha": "2", "card": "a"}, {"bundle": folder})
    assert (first.number, again.number, other.number) == (1, 1, 2)
    texts = [(registry.folder(one, "bundle") or Path()).joinpath("manifest.json").read_text() for one in (again, other)]
    assert texts == ["one", "two"]
    assert registry.folder(first, "card") is None
    assert [one.number for one in registry.versions("compact")] == [2, 1]
    assert registry.versions("another") == []


def test_an_alias_points_at_one_version(home: Path, folder: Path) -> None:
    registry = ModelRegistry(home)
    first, second = (registry.put("compact", {"sha": sha}, {"bundle": folder}) for sha in "12")
    registry.move("champion", first)
    assert (holder := registry.holder("compact", "champion"))
    assert (holder.number, holder.aliases) == (1, ("champion",))
    registry.move("champion", second)
    assert [(one.number, one.aliases) for one in ModelRegistry(home).versions()] == [(2, ("champion",)), (1, ())]


def test_a_model_is_found_among_more_names_than_one_answer_holds(home: Path, folder: Path) -> None:
    registry = ModelRegistry(home)
    client, _ = open_store(home, EXPERIMENT)
    for number in range(101):
        client.create_registered_model(f"another {number:03d}")
    registry.move("champion", registry.put("compact", {"sha": "1"}, {"bundle": folder}))
    assert (holder := registry.holder("compact", "champion"))
    assert (holder.number, holder.aliases) == (1, ("champion",))
    assert registry.holder("compact", "other") is None
    assert [one.model for one in registry.versions()] == ["compact"]


def test_what_was_decided_is_noted(home: Path, folder: Path) -> None:
    registry = ModelRegistry(home)
    version = registry.put("compact", {"sha": "1"}, {"bundle": folder})
    registry.note(version, {"why": "x" * (LONGEST_TAG + 1), "decision": "refused"}, {"decisions/1.json": "{}"})
    (found,) = registry.versions()
    assert (found.tags["decision"], len(found.tags["why"])) == ("refused", LONGEST_TAG)
    decisions = registry.folder(found, "decisions")
    assert decisions is not None
    assert (decisions / "1.json").read_text() == "{}"


def test_a_version_that_a_training_registered_has_no_card(home: Path, folder: Path) -> None:
    with open_run(home, "medground", "first") as run:
        run.register(folder, "compact", "newest")
    (found,) = ModelRegistry(home).versions()
    assert (found.aliases, ModelRegistry(home).folder(found, "card")) == (("newest",), None)


def _try_to_hold(home: str, told: multiprocessing.Queue[str]) -> None:
    registry = ModelRegistry(Path(home))
    told.put("waits")
    with registry.alone():
        told.put("held")


def test_one_process_at_a_time(home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[str] = context.Queue()
    with ModelRegistry(home).alone():
        other = context.Process(target=_try_to_hold, args=(str(home), told))
        other.start()
        assert told.get(timeout=300) == "waits"
        other.join(timeout=1)  # long enough to hold it, if it could
        assert other.is_alive()
        assert told.empty()
    assert told.get(timeout=300) == "held"
    other.join(timeout=300)


@pytest.mark.parametrize("address", ["http://mlflow.example", "sqlite:///runs.db", "sqlite:////tmp/other.db"])
def test_another_kind_of_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="neither a folder nor sqlite"):
        home_of(address)


def test_addresses() -> None:
    assert home_of("mlruns") == Path("mlruns")
    assert home_of("sqlite:////var/mlruns/mlflow.db") == Path("/var/mlruns")
    assert home_of("sqlite:///mlruns/mlflow.db") == Path("mlruns")
