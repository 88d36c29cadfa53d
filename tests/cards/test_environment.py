from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

from medground.cards.environment import code_of, environment

AT = "2026-01-02T03:04:05Z"


def test_packages_are_those_that_medground_needs_with_their_versions():
    packages = {package.name: package for package in environment().packages}
    assert packages["numpy"].version == metadata.version("numpy")
    assert "torch" in packages["medground"].requires
    assert "sympy" in packages  # torch needs it
    assert not {"pytest", "fastapi", "matplotlib"} & set(packages)  # extras of ours
    assert packages["pydantic"].licence == "MIT"


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path):
    def git(*words: str) -> str:
        own = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *own, *words], check=True, capture_output=True, text=True
        ).stdout

    outside = code_of(tmp_path, "1.0", AT)
    assert (outside.commit, outside.uncommitted) == (None, False)
    git("init", "--quiet")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "--quiet", "--message", "one")
    clean = code_of(tmp_path, "1.0", AT)
    assert (clean.commit, clean.uncommitted) == (git("rev-parse", "HEAD").strip(), False)
    (tmp_path / "new").write_text("1")
    assert code_of(tmp_path, "1.0", AT).uncommitted
    (tmp_path / "installed").mkdir()
    (tmp_path / "new").rename(tmp_path / "installed" / "new")
    assert code_of(tmp_path / "installed", "1.0", AT).commit is None
    (tmp_path / "installed" / "new").unlink()
    (tmp_path / "a").write_text("2")
    assert code_of(tmp_path, "1.0", AT).uncommitted
