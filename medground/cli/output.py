"""The output folder: everything is written aside first, and appears by renaming once all of it is whole."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from medground.schema.errors import UsageError

RESULTS = "results.json"
# What an earlier run may have left; nothing else in the folder is ever touched.
_OBJECTS = re.compile(r"\d+(-\d+)?\.dcm")
_OURS = {"overlays": re.compile(r"\d+-\d+-\d+\.png"), "sr": _OBJECTS, "gsps": _OBJECTS, "seg": _OBJECTS}


class OutputFolder:
    """Collects the files of one run and publishes them together.

    Files are written and synchronised in a hidden folder inside the target, so that the final step is a rename on the
    same file system. `results.json` comes last: where it stands, everything it speaks of stands too. If the block is
    left by an exception, nothing appears, and a folder that was made for the run is removed again.

    Args:
        folder: the target; made if absent.

    Raises:
        UsageError: on entering, if the target is a file or cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Path] = []
        self._staging: Path | None = None

    def __enter__(self) -> Self:
        missing = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._made = missing
            self._staging = Path(tempfile.mkdtemp(prefix=".medground-", dir=self._folder))
        except OSError as error:
            self._remove_made()
            raise UsageError(f"--out {self._folder} cannot be written to ({error.strerror}); name a folder") from error
        return self

    def path(self, name: str) -> Path:
        """Where to write the file that will be called `name` (relative, with `/`); its folder exists on return."""
        if self._staging is None:
            raise RuntimeError("an OutputFolder is used inside its with block")
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        except OSError as cause:
            raise UsageError(f"--out {self._folder} cannot be written to ({cause.strerror}); name a folder") from cause
        finally:
            if self._staging is not None:
                shutil.rmtree(self._staging, ignore_errors=True)
            if kind is not None:
                self._remove_made()

    def _publish(self) -> None:
        staging = self._staging
        if staging is None:
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # two runs into one folder: one whole result, then the other
            self._move_in(staging)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _move_in(self, staging: Path) -> None:
        files = sorted(path for path in staging.rglob("*") if path.is_file())
        for path in files:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        new = {path.relative_to(staging).as_posix() for path in files}
        results = self._folder / RESULTS
        if results.exists():
            # Between here and the end the folder holds no result rather than an old result beside new pictures.
            results.rename(staging / "replaced.json")
        for folder, ours in _OURS.items():
            for old in (self._folder / folder).glob("*"):
                if ours.fullmatch(old.name) and f"{folder}/{old.name}" not in new:
                    old.unlink()
        for name in sorted(new, key=lambda name: (name == RESULTS, name)):
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / name, target)  # noqa: PTH105 - the atomic rename, by its usual name

    def _remove_made(self) -> None:
        for path in self._made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
