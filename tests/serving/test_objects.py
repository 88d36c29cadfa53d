"""A file is there whole or not at all, whatever happens in between."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medground.schema.errors import UsageError
from medground.serving.objects import ObjectStore
from tests.full_disk import no_file_longer_than

CONTENT = b"image" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
HOUR_S = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def files(store: ObjectStore) -> list[str]:
    """Names of everything in the store, what is aside included."""
    return sorted(path.name for path in store.path(DIGEST).parents[1].rglob("*") if path.is_file())


def aside(store: ObjectStore) -> Path:
    return store.path(DIGEST).parents[1] / "incoming"


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_is_added_lies_under_its_digest(store: ObjectStore) -> None:
    stored = store.add(CONTENT)
    assert (stored.sha256, stored.size_bytes) == (DIGEST, 5000)
    assert store.read(DIGEST) == CONTENT
    assert store.path(DIGEST).stat().st_mode & 0o777 == 0o600
    assert store.path(DIGEST).parts[-2:] == (DIGEST[:2], DIGEST)
    with pytest.raises(FileNotFoundError):
        store.read("0" * 64)


def test_the_same_content_twice_is_one_file(store: ObjectStore) -> None:
    first = store.add(CONTENT)
    age(store.path(DIGEST), 2 * HOUR_S)
    assert store.add(CONTENT) == first
    assert files(store) == [DIGEST]
    assert time.time() - store.path(DIGEST).stat().st_mtime < 60  # young again: its row may be on its way


def test_what_is_not_kept_vanishes(store: ObjectStore) -> None:
    with store.incoming() as incoming:
        incoming.write(CONTENT)
        assert incoming.size_bytes == 5000
        assert files(store) == [incoming.path.name]
    assert files(store) == []

    def break_off() -> None:
        with store.incoming() as incoming:
            incoming.write(CONTENT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert files(store) == []


def test_a_folder_vanishes_with_what_is_in_it_and_is_swept(store: ObjectStore) -> None:
    with store.incoming_folder() as folder:
        (folder / "1.dcm").write_bytes(CONTENT)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert store.sweep(older_than_s=HOUR_S, now_s=time.time()) == 0
        assert files(store) == ["1.dcm"]
        assert store.sweep(older_than_s=HOUR_S, now_s=time.time() + 2 * HOUR_S) == 1  # of a killed process
        assert list(aside(store).iterdir()) == []
    with store.incoming_folder() as folder:
        (folder / "1.dcm").write_bytes(CONTENT)
    assert list(aside(store).iterdir()) == []


@pytest.mark.parametrize("name", ["", "0" * 63, "0" * 65, "G" * 64, "../" + "0" * 61, "0" * 63 + "\n", DIGEST.upper()])
def test_no_other_name_becomes_a_path(store: ObjectStore, name: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        store.path(name)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file in the way")
    with pytest.raises(UsageError, match=r"objects cannot be written to \((File exists|Not a directory)\)"):
        ObjectStore(tmp_path / "objects")


KILLED = """
import os, signal, sys
from pathlib import Path
from medground.serving import objects
store = objects.ObjectStore(Path(sys.argv[1]))
if sys.argv[2] == "before the rename":
    Path.rename = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
elif sys.argv[2] == "before the folder is synchronised":
    objects._synchronise = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
with store.incoming() as incoming:
    incoming.write(b"image" * 500)
    incoming._file.flush()
    if sys.argv[2] == "while it is written":
        os.kill(os.getpid(), signal.SIGKILL)
    incoming.write(b"image" * 500)
    store.keep(incoming)
"""


@pytest.mark.parametrize(
    ("moment", "there", "left"),
    [
        ("while it is written", False, 1),
        ("before the rename", False, 1),
        ("before the folder is synchronised", True, 0),
        ("never", True, 0),
    ],
)
def test_a_kill_leaves_a_whole_file_or_none(store: ObjectStore, moment: str, there: bool, left: int) -> None:
    folder = store.path(DIGEST).parents[1]
    run = subprocess.run([sys.executable, "-c", KILLED, str(folder), moment], check=False)
    assert run.returncode == (0 if moment == "never" else -signal.SIGKILL)
    assert store.path(DIGEST).exists() is there
    assert not there or store.read(DIGEST) == CONTENT
    assert len(list(aside(store).iterdir())) == left
    assert store.sweep(older_than_s=HOUR_S, now_s=time.time()) == 0
    assert store.sweep(older_than_s=HOUR_S, now_s=time.time() + 2 * HOUR_S) == left
    assert store.add(CONTENT).sha256 == DIGEST
    assert files(store) == [DIGEST]


def test_a_full_disk_leaves_nothing(store: ObjectStore) -> None:
    with no_file_longer_than(3000), pytest.raises(OSError, match="File too large"):
        store.add(CONTENT)
    assert files(store) == []
    assert store.add(CONTENT).sha256 == DIGEST


def test_what_no_row_speaks_of_is_removed_once_it_is_old(store: ObjectStore) -> None:
    used, old, young = (store.add(word).sha256 for word in (b"used", b"old", b"young"))
    age(store.path(used), 2 * HOUR_S)
    age(store.path(old), 2 * HOUR_S)
    asked: list[str] = []

    def is_used(digest: str) -> bool:
        asked.append(digest)
        return digest == used

    assert store.remove_unused(is_used, older_than_s=HOUR_S, now_s=time.time()) == 1
    assert files(store) == sorted([used, young])
    assert young not in asked
    assert store.remove_unused(is_used, older_than_s=HOUR_S, now_s=time.time() + 2 * HOUR_S) == 1
    assert files(store) == [used]


@pytest.mark.parametrize("moment", [1, 2])
def test_what_is_kept_again_while_it_is_removed_stays(store: ObjectStore, moment: int) -> None:
    """Somebody sends the content again after the first look whether it is used, and after the second."""
    store.add(CONTENT)
    age(store.path(DIGEST), 2 * HOUR_S)
    looks = 0

    def is_used(digest: str) -> bool:
        nonlocal looks
        looks += 1
        if looks == moment:
            store.add(CONTENT)
        return False

    removed = store.remove_unused(is_used, older_than_s=HOUR_S, now_s=time.time())
    assert store.read(DIGEST) == CONTENT
    assert files(store) == [DIGEST]
    assert removed == (0 if moment == 1 else 1)


def test_two_may_sweep_at_once(store: ObjectStore) -> None:
    """Files come and go while another process looks at them."""
    store.add(CONTENT)
    age(store.path(DIGEST), 2 * HOUR_S)

    def is_used(digest: str) -> bool:
        store.path(digest).unlink(missing_ok=True)
        return False

    assert store.remove_unused(is_used, older_than_s=HOUR_S, now_s=time.time()) == 0
    (aside(store) / "dangling").symlink_to(aside(store) / "gone")
    assert store.sweep(older_than_s=0, now_s=time.time() + 1) == 0
