"""dciodvfy of David Clunie's dicom3tools: is the object what its information object definition says?"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipelines.judges.complaint import Complaint, program

NAME = "dciodvfy"
PACKAGE = "dicom3tools"


def judge(files: Sequence[Path], *, iod: str) -> list[Complaint]:
    """Ask dciodvfy about files.

    Args:
        files: DICOM objects.
        iod: name of the definition that each must be recognised as, e.g. `ComprehensiveSR`: a file that dciodvfy
            cannot name is not judged by it.

    Returns:
        Every error it found; its warnings are not among them.

    Raises:
        UsageError: dciodvfy is not installed.
    """
    command = program("dciodvfy", PACKAGE)
    complaints = []
    for file in files:
        run = subprocess.run([command, str(file)], capture_output=True, check=False)
        lines = (run.stdout + run.stderr).decode("utf-8", "replace").splitlines()
        errors = [line for line in lines if line.startswith("Error")]
        if iod not in (line.strip() for line in lines):
            errors.append(f"not recognised as {iod}")
        complaints += [Complaint(NAME, file, error) for error in errors]
    return complaints
