from __future__ import annotations

from pathlib import Path

import pytest

from medground.cli.output import OutputFolder
from medground.schema.errors import UsageError


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def fill(out: Path, *names: str, content: str = "old") -> None:
    with OutputFolder(out) as folder:
        for name in names:
            folder.path(name).write_text(content)


def cut_off(out: Path) -> None:
    with OutputFolder(out) as folder:
        folder.path("results.json").write_text("{")
        raise RuntimeError("power cut")


def test_files_appear_only_when_all_are_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with OutputFolder(out) as folder:
        folder.path("results.json").write_text("{}")
        folder.path("overlays/1-1-1.png").write_text("p")
        visible = [path for path in out.iterdir() if not path.name.startswith(".")]
        assert visible == []
    assert files(out) == {"results.json": "{}", "overlays/1-1-1.png": "p"}


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        cut_off(tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_exception_keeps_what_was_there(tmp_path: Path) -> None:
    fill(tmp_path, "results.json", "overlays/1")
    with pytest.raises(RuntimeError, match="power cut"):
        cut_off(tmp_path)
    assert files(tmp_path) == {"results.json": "old", "overlays/1": "old"}


def test_pictures_of_an_earlier_run_go_and_foreign_files_stay(tmp_path: Path) -> None:
    fill(tmp_path, "results.json", "overlays/1-1-1.png", "overlays/2-1-1.png", "sr/2.dcm")
    (tmp_path / "overlays" / "holiday.png").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    fill(tmp_path, "results.json", "overlays/1-1-1.png", content="new")
    assert files(tmp_path) == {
        "results.json": "new",
        "overlays/1-1-1.png": "new",
        "overlays/holiday.png": "mine",
        "notes.txt": "mine",
    }


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="--out"):
        fill(tmp_path / "out", "results.json")
    (tmp_path / "overlays").write_text("a file")
    with pytest.raises(UsageError, match="--out"):
        fill(tmp_path, "overlays/1-1-1.png")
    assert files(tmp_path) == {"out": "a file", "overlays": "a file"}
