"""Installs the adapter's npm packages on demand, in a folder that git does not see."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from medground.schema.errors import UsageError
from pipelines.judges.complaint import program

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", "hydrate.mjs")
CACHE = Path(__file__).resolve().parents[3] / ".judges"


def ensure_ohif(cache: Path = CACHE) -> Path:
    """Have the packages of the lock file installed; instant where they are.

    Args:
        cache: folder to keep them in, made if need be; two processes may ask at once.

    Returns:
        The script that hydrates, beside its packages.

    Raises:
        UsageError: npm is not there, or cannot install them.
    """
    npm = program("npm", "npm")
    folder = cache / "ohif"
    folder.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    lock = (_HERE / "package-lock.json").read_bytes()
    stamp, wanted = folder / "node_modules" / ".installed", hashlib.sha256(lock).hexdigest()
    with (cache / ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for name in _FILES:
            aside = folder / f"{name}.new"
            shutil.copyfile(_HERE / name, aside)
            aside.replace(folder / name)  # whole at any moment: another process may be reading the one before
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(npm, folder)
            stamp.write_text(wanted)
    return folder / "hydrate.mjs"


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise UsageError(
            f"npm could not install the packages of pipelines/judges/ohif (status {run.returncode}); "
            f"it needs a registry the first time: {run.stderr.strip()[-400:]}"
        )
