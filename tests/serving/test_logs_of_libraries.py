"""What libraries warn of, with a patient's name in it, reaches no output of a service process."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import io, logging, warnings
from pydicom import Dataset
from medground.serving.logs import make_log
log = make_log("all", io.StringIO())
dataset = Dataset()
dataset.PatientName = "CANARY^NAME"
dataset.PatientAge = "CANARY-AGE-THAT-IS-TOO-LONG"
dataset.StudyInstanceUID = "CANARY.UID"
logging.getLogger("pydicom").critical("CANARY")
warnings.warn("CANARY")
print("done")
"""


def test_nothing_of_libraries_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
