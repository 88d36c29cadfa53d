"""A store that several processes open at once, as the arms of a comparison do."""

from __future__ import annotations

import subprocess
import sys

OPEN = "import sys; from pathlib import Path; from medground.tracking.store import open_store; "
OPEN += "print(open_store(Path(sys.argv[1]), 'medground')[1])"


def test_a_store_that_is_not_there_yet_may_be_opened_by_several_at_once(tmp_path):
    command = [sys.executable, "-c", OPEN, str(tmp_path / "mlruns")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
