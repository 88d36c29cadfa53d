"""A store that several processes open at once, as the arms of a comparison do."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from mlflow.exceptions import MlflowException

from medground.schema.errors import UsageError
from medground.tracking.store import MAKING, holds_run, may_pass, open_store
from tests.full_disk import no_file_longer_than

OPEN = "import sys; from pathlib import Path; from medground.tracking.store import open_store; "
OPEN += "print(open_store(Path(sys.argv[1]), 'medground')[1])"


def test_a_store_that_is_not_there_yet_may_be_opened_by_several_at_once(tmp_path):
    command = [sys.executable, "-c", OPEN, str(tmp_path / "mlruns")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1


@pytest.mark.slow
def test_a_store_that_did_not_fit_on_the_disk_is_not_there_and_is_made_once_it_does(tmp_path):
    """MLflow opens no store that has some of its tables, whatever one does."""
    with (
        no_file_longer_than(200_000),
        pytest.raises(UsageError, match=r"\(disk I/O error\); make room, or wait") as told,
    ):
        open_store(tmp_path, "exp")
    assert may_pass(told.value)
    assert [path.name for path in tmp_path.iterdir()] == [".opening"]
    client, experiment = open_store(tmp_path, "exp")
    run_id = client.create_run(experiment).info.run_id
    again, same = open_store(tmp_path, "exp")
    assert same == experiment
    assert holds_run(again, run_id)
    assert not holds_run(again, "0" * 32)
    assert {path.name for path in tmp_path.iterdir()} == {".opening", "mlflow.db"}


@pytest.mark.slow
def test_a_store_whose_maker_was_killed_is_made_by_the_next(tmp_path):
    home = tmp_path / "mlruns"
    command = [sys.executable, "-c", OPEN, str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any(path.stat().st_size for path in home.glob(f"{MAKING}*.db")):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert any(home.glob(f"{MAKING}*.db"))
    assert not (home / "mlflow.db").exists()
    client, experiment = open_store(home, "exp")
    client.create_run(experiment)
    assert {path.name for path in home.iterdir()} == {".opening", "mlflow.db"}


def test_a_run_of_a_store_that_cannot_be_read_is_not_taken_for_lost(home):
    client, experiment = open_store(home, "exp")
    run_id = client.create_run(experiment).info.run_id
    assert holds_run(client, run_id)
    with sqlite3.connect(home / "mlflow.db") as held:
        held.execute("ALTER TABLE runs RENAME TO gone")
    held.close()
    with pytest.raises(MlflowException, match="no such table"):
        holds_run(client, run_id)


def test_what_is_no_store_does_not_become_one_by_waiting(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database " * 100)
    with pytest.raises(UsageError, match=r"\(file is not a database\); move it away") as told:
        open_store(tmp_path, "exp")
    assert not may_pass(told.value)
