"""DicomSRValidator of David Clunie's PixelMed toolkit: does the content tree follow its template?

It names wrong relationships, missing values, and wrong kinds of coordinates; the version of 2022 does not notice an
absent mandatory row of TID 1500 or 1410 (seen for Procedure Reported and for the coordinates of a region).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from medground.schema.errors import UsageError
from pipelines.judges.complaint import Complaint, program

NAME = "pixelmed"
PACKAGE = "libpixelmed-java"
_JARS = Path("/usr/share/java")  # where Debian's Java policy puts them
_NEEDED = ("pixelmed", "pixelmed_codec", "vecmath", "commons-codec", "commons-compress", "slf4j-api", "Saxon-HE")
_JUDGED = ("Found Root Template TID_1500 (MeasurementReport)", "Root Template Validation Complete")


def judge(files: Sequence[Path]) -> list[Complaint]:
    """Ask PixelMed about structured reports, all in one Java process.

    Args:
        files: reports by TID 1500; one in which the validator does not recognise that template is not judged by it,
            which is a complaint.

    Returns:
        Every error it found; its warnings (content beyond the template) are not among them.

    Raises:
        UsageError: Java or a library is not installed, or the process failed.
    """
    if not files:
        return []
    program("javac", "default-jdk-headless")  # compiles the source that java is given
    java = program("java", "default-jdk-headless")
    source = Path(__file__).with_name("SrJudge.java")
    command = [java, "-XX:+UseSerialGC", "-cp", ":".join(map(str, _class_path())), str(source)]
    paths = "".join(f"{file.resolve()}\n" for file in files)
    run = subprocess.run(command, input=paths.encode(), capture_output=True, check=False)
    if run.returncode != 0:
        raise UsageError(f"the PixelMed judge ended with status {run.returncode}: {run.stderr.decode()[-500:]}")
    return _complaints(files, run.stdout.decode("utf-8", "replace"))


def _class_path() -> list[Path]:
    jars = [_JARS / f"{name}.jar" for name in _NEEDED]
    missing = [jar.name for jar in jars if not jar.exists()]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} not in {_JARS}; install the Debian packages {PACKAGE}, libvecmath-java, "
            "libcommons-codec-java, libcommons-compress-java, libslf4j-java and libsaxonhe-java"
        )
    return jars


def _complaints(files: Sequence[Path], output: str) -> list[Complaint]:
    verdicts = re.split(r"^FILE .*$", output, flags=re.MULTILINE)[1:]
    if len(verdicts) != len(files):
        raise UsageError(f"the PixelMed judge gave {len(verdicts)} verdicts on {len(files)} files")
    complaints = []
    for file, verdict in zip(files, verdicts, strict=True):
        lines = verdict.splitlines()
        errors = [line for line in lines if line.startswith("Error")]
        errors += [f"the validator did not say: {words}" for words in _JUDGED if words not in lines]
        complaints += [Complaint(NAME, file, error) for error in errors]
    return complaints
