"""The side of a service that has the model goes on by itself where a part of it has ended."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from sqlalchemy import make_url

from medground.serving.workflows import ANSWER
from tests.serving.faults.house import at_work
from tests.serving.running import NODULE, film


def test_jobs_are_answered_after_the_thread_of_their_queue_has_ended(tmp_path: Path) -> None:
    before = threading.enumerate()
    with at_work(tmp_path) as house:
        new = [one for one in threading.enumerate() if one not in before]
        (thread,) = (one for one in new if one.name.startswith(f"{ANSWER}-"))
        with sqlite3.connect(str(make_url(house.service.config.workflows_url).database), timeout=60) as connection:
            connection.execute("DELETE FROM queues WHERE name = ?", (thread.name,))
        thread.join(120)
        assert not thread.is_alive()
        house.ask(film(tmp_path, 1, NODULE))
        assert house.all_are("done", 1)
