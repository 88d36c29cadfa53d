"""`python -m pipelines service-canaries`: does anything of a patient leave the tables it belongs to?

Small films salted with canaries (names, numbers, descriptions, institution, physician: see `pipelines.canary_places`)
are sent to a real service by HTTP and by C-STORE; some are asked about, some with a canary in the question, one result
is reviewed and signed with canaries in the words, and all kinds of errors are provoked on purpose, with canaries in
whatever the sender may choose. Then everything that is no clinical table and no image is searched: log, metrics, audit
log (table, FHIR export, what `medground audit show` prints), the other tables, those of the workflows, names of files,
headers of answers with the URLs in them, and the problems that were told. A canary counts as it is, percent-encoded, in
base64 and in hexadecimal.

  python -m pipelines service-canaries --studies 2000

Prints counts; exit code 1 on any hit, or if the clinical tables lack what was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from medground.schema.errors import MedgroundError, UsageError
from medground.serving.database import CLINICAL
from pipelines.canary_requests import SALTED, Told, client_of, go_wrong, make_films, read_all, send_all
from pipelines.canary_search import CanarySearch, rows, tables
from pipelines.service_process import ServiceProcess, running_service
from pipelines.sources import say

_KNOWN: Final = ("patient name", "patient ID", "accession number", "name in a study description")  # kept in `studies`
_CONFIG: Final = """
[destinations.away]
dicomweb = { url = "http://127.0.0.1:9/dicom-web" }
[[rules]]
body_part = "NOSUCHPART"
questions = ["is there a nodule?"]
"""
_END_S: Final = 600


def wait_for_jobs(service: ServiceProcess, seconds: float = _END_S) -> Counter[str]:
    """How many jobs ended in which state.

    Raises:
        UsageError: some had not ended in that time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with sqlite3.connect(service.state / "medground.db") as connection:
            states: Counter[str] = Counter(row[0] for row in connection.execute("SELECT state FROM jobs"))
        if not states["queued"] + states["running"]:
            return states
        time.sleep(0.5)
    raise UsageError(f"jobs had not ended after {seconds:.0f} s; look into the log of the service")


def open_places(service: ServiceProcess, told: Told, metrics: bytes, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Everything where no canary may be, by name."""
    yield "log", service.log.read_bytes()
    yield "metrics", metrics
    yield "audit show", _cli("audit", "show", "--last", "10000", "--database", service.database)
    export = folder / "audit.ndjson"
    _cli("audit", "export", "--out", str(export), "--database", service.database)
    yield "audit export", export.read_bytes()
    yield from tables(service.state / "medground.db", but=CLINICAL)
    yield from tables(service.state / "workflows.db")
    yield "file names", "\n".join(str(path.relative_to(service.state)) for path in service.state.rglob("*")).encode()
    yield "headers and URLs", "\n".join(told.headers).encode()
    yield "problems", "\n".join(told.problems).encode()


def _cli(*arguments: str) -> bytes:
    command = [sys.executable, "-m", "medground.cli", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "COLUMNS": "1000"})
    if done.returncode != 0:
        raise UsageError(f"medground {' '.join(arguments[:2])} ended with {done.returncode}")
    return done.stdout + done.stderr


def run(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Send, search, count."""
    say(f"making {args.studies} studies")
    films = make_films(args.studies, args.seed, folder / "films", args.size)
    told = Told()
    with running_service(folder, _CONFIG) as service:
        say("sending")
        send_all(service, films, args.ask, told)
        go_wrong(service, films[1], told)
        states = wait_for_jobs(service)
        read_all(service, films[1], told)
        with client_of(service, told) as client:
            metrics = client.get("/metrics").content
    say("searching")
    search = CanarySearch(one for film in films for one in film.canaries.values())
    places = dict(open_places(service, told, metrics, folder))
    with sqlite3.connect(service.state / "medground.db") as connection:
        kept = rows(connection, "studies").decode()
    planted = sum(
        film.canaries[place].word in kept or film.canaries[place].digits in kept for film in films for place in _KNOWN
    )
    return {
        "studies": len(films),
        "canaries": len(films) * (len(SALTED) + 1),
        "jobs": dict(states),
        "answers": {str(status): count for status, count in sorted(told.statuses.items())},
        "kept in the clinical tables": planted,
        "expected there": len(films) * len(_KNOWN),
        "bytes searched": {name: len(content) for name, content in places.items()},
        "hits": {name: count for name, content in places.items() if (count := search.hits(content))},
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines service-canaries",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--studies", type=int, default=2000, help="how many are sent (default: 2000)")
    parse.add_argument("--ask", type=int, default=40, help="how many of them are asked about (default: 40)")
    parse.add_argument("--size", type=int, default=128, help="side of a film; none below is read (default: 128)")
    parse.add_argument("--seed", type=int, default=0, help="of the canaries (default: 0)")
    parse.add_argument("--keep", type=Path, help="empty folder for everything; a temporary one if left out")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; exit code 1 on any hit."""
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="medground-canaries-") as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            found = run(args, folder)
        except MedgroundError as error:
            say(f"error: {error}")
            return error.exit_code
    print(json.dumps(found, indent=1))
    return 1 if found["hits"] or found["kept in the clinical tables"] != found["expected there"] else 0


if __name__ == "__main__":
    sys.exit(main())
