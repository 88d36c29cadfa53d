"""`python -m pipelines crash`: is anything lost, doubled or stuck when processes of the service are killed at random?

A driver sends small studies, each with a question, and asks again whenever it gets no answer, as any client would.
Meanwhile the API process, the worker and the database are killed with SIGKILL at random moments and started again by
a supervisor. At the end: every image that was accepted is there with its bytes, there is one result for each set of
images, question and model, and no job took longer than a minute after the last thing that was killed.

  python -m pipelines crash --studies 300 --kills 100                          # SQLite: API process and worker
  python -m pipelines crash --studies 300 --kills 100 --database postgresql    # and PostgreSQL itself
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import Engine, func, select

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.access.scope import Scope
from medground.serving.access.tokens import Tokens
from medground.serving.database import connect, create_tables, instances, jobs, results
from medground.serving.jobs import State
from medground.serving.objects import ObjectStore
from pipelines.judges.postgres import Postgres
from pipelines.ports import kept_port
from pipelines.sources import say

SEEDS = 9_000_000
QUESTIONS = ("is there a nodule?", "左肺有结节吗", "is there a pneumothorax?")
STUCK_S = 60.0
RESTART_S = 0.5
API, WORKER, DATABASE = "API process", "worker", "database"


class Supervised:
    """A process that is started again whenever it ends, as systemd would."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command, self._log = list(command), log
        self._process: subprocess.Popen[bytes] | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Stop it for good."""
        self._end.set()
        self.kill()
        self._thread.join()

    def _keep(self) -> None:
        while not self._end.is_set():
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            self._process.wait()
            self._end.wait(RESTART_S)


@dataclass
class Tally:
    """What the driver saw."""

    accepted: dict[str, str] = field(default_factory=dict)  # SHA-256 of an accepted file to the job that it is for
    tries: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    last_kill: float = 0.0
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found at the end; all but the first two should be 0.

    Attributes:
        accepted: images that the service said it had.
        results: rows of results.
        lost: accepted images that are not there, or with other bytes.
        doubled: sets of images, question and model with more than one result.
        missing: accepted jobs without a result.
        unended: jobs that are neither done nor failed.
        failed: jobs that ended without a result.
        stuck_s: seconds from the last kill, or from being sent if that was later, to the end of the last job.
    """

    accepted: int
    results: int
    lost: int
    doubled: int
    missing: int
    unended: int
    failed: int
    stuck_s: float

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled or stuck."""
        bad = self.lost + self.doubled + self.missing + self.unended + self.failed
        return bad == 0 and self.accepted > 0 and self.stuck_s <= STUCK_S


def make_studies(count: int, folder: Path, size_px: int) -> list[Path]:
    """Small phantom films, one a study."""
    paths = []
    for seed in range(SEEDS, SEEDS + count):
        film = chest_radiograph(seed, size_px=size_px, findings=["nodule"] if seed % 2 else [])
        paths += write_radiograph_study(film, folder)
    return paths


def send(path: Path, question: str, base: str, token: str, tally: Tally, until: float) -> None:
    """Send a study until it is accepted."""
    content = path.read_bytes()
    while time.monotonic() < until:
        tally.tries += 1
        try:
            answer = httpx.post(
                f"{base}/v1/ground",
                headers={"Authorization": f"Bearer {token}", "Prefer": "respond-async"},
                files={"file": ("study.dcm", content)},
                data={"query": question},
                timeout=20,
            )
        except httpx.HTTPError:
            time.sleep(0.3)
            continue
        if answer.status_code in (200, 202):
            with tally.lock:
                tally.accepted[hashlib.sha256(content).hexdigest()] = answer.headers["location"].rpartition("/")[2]
            return
        if answer.status_code < 500:
            raise UsageError(f"the service answered {answer.status_code}: {answer.text[:200]}")
        time.sleep(0.3)
    raise UsageError("the service did not accept a study in all that time; look into its log")


def send_all(paths: Sequence[Path], base: str, token: str, tally: Tally, gap_s: float, rng: random.Random) -> None:
    """Send studies one after another, with gaps of about `gap_s` seconds."""
    until = time.monotonic() + 10 * gap_s * len(paths) + 600
    for number, path in enumerate(paths):
        send(path, QUESTIONS[number % len(QUESTIONS)], base, token, tally, until)
        time.sleep(rng.uniform(0, 2) * gap_s)


def kill_at_random(
    targets: dict[str, Callable[[], None]], count: int, pause_s: float, base: str, rng: random.Random, tally: Tally
) -> None:
    """Kill so many times, each target in turn as chance has it, with pauses of about `pause_s`.

    Half of the pauses begin once the service answers, so that on a slow machine not all kills meet a process that is
    about to start.
    """
    order = [name for name in targets for _ in range(-(-count // len(targets)))][:count]
    rng.shuffle(order)
    for number, name in enumerate(order, start=1):
        if rng.random() < 0.5:
            _wait_until_up(base)
        time.sleep(rng.uniform(0.2, 1.8) * pause_s)
        targets[name]()
        tally.kills[name] += 1
        tally.last_kill = time.monotonic()
        if number % 10 == 0:
            say(f"{number} of {count} kills, {len(tally.accepted)} studies accepted")


def unended(engine: Engine) -> int:
    """How many jobs have not ended."""
    with engine.connect() as connection:
        waiting = jobs.c.state.in_((State.QUEUED, State.RUNNING))
        return int(connection.scalar(select(func.count()).select_from(jobs).where(waiting)) or 0)


def wait_for_the_end(engine: Engine, tally: Tally) -> float:
    """Seconds until every job has ended, at most twice what is allowed."""
    since = max(tally.last_kill, time.monotonic())
    while unended(engine) and time.monotonic() < since + 2 * STUCK_S:
        time.sleep(0.2)
    return time.monotonic() - since


def look(engine: Engine, store: ObjectStore, tally: Tally, stuck_s: float) -> Findings:
    """Compare what was accepted with what is there."""
    with engine.connect() as connection:
        kept = set(connection.scalars(select(instances.c.sha256)))
        rows = connection.execute(
            select(results.c.job_id, jobs.c.instance_set, results.c.question_key, results.c.model_sha256).join(
                jobs, jobs.c.job_id == results.c.job_id
            )
        ).all()
        states = Counter(connection.scalars(select(jobs.c.state)))
    lost = sum(
        digest not in kept or hashlib.sha256(store.read(digest)).hexdigest() != digest for digest in tally.accepted
    )
    answered = Counter((row.instance_set, row.question_key, row.model_sha256) for row in rows)
    with_result = {row.job_id for row in rows}
    return Findings(
        accepted=len(tally.accepted),
        results=len(rows),
        lost=lost,
        doubled=sum(count > 1 for count in answered.values()),
        missing=sum(job not in with_result for job in tally.accepted.values()),
        unended=states[State.QUEUED] + states[State.RUNNING],
        failed=states[State.FAILED] + states[State.CANCELLED],
        stuck_s=round(stuck_s, 1),
    )


def run(args: argparse.Namespace, folder: Path) -> Findings:
    """Run the whole test."""
    rng = random.Random(args.seed)
    tally = Tally()
    say(f"making {args.studies} studies of {args.size} px")
    (folder / "studies").mkdir()
    paths = make_studies(args.studies, folder / "studies", args.size)
    with ExitStack() as stack:
        targets: dict[str, Callable[[], None]] = {}
        url = f"sqlite:///{folder / 'state' / 'medground.db'}"
        if args.database == "postgresql":
            postgres = stack.enter_context(Postgres())
            url = postgres.url

            def kill_database() -> None:
                postgres.kill()
                time.sleep(rng.uniform(0, 2))
                postgres.start()

            targets[DATABASE] = kill_database
        engine = connect(url)
        stack.callback(engine.dispose)
        create_tables(engine)
        tokens = Tokens(engine, lambda: time.time_ns() // 1000, random.SystemRandom().randbytes)
        tokens.create_table()
        token = tokens.create("driver", "crash", {Scope.GROUND, Scope.READ}).plain
        port = stack.enter_context(kept_port())  # also while the process that listens at it is killed
        command = [sys.executable, "-m", "medground.cli", "serve", "--state", str(folder / "state"), "--database", url]
        for name, role in ((API, "api"), (WORKER, "worker")):
            own = [*command, "--role", role, "--port", str(port)]
            process = Supervised(own, folder / f"{role}.log")
            stack.callback(process.end)
            targets[name] = process.kill
        base = f"http://127.0.0.1:{port}"
        _wait_until_up(base)
        gap_s = args.kills * args.pause / max(1, args.studies)
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send_all, paths, base, token, tally, gap_s, random.Random(args.seed + 1))
            # Here and not in a thread that ends: PostgreSQL dies with the thread that started it.
            kill_at_random(targets, args.kills, args.pause, base, rng, tally)
            sending.result()
        stuck_s = wait_for_the_end(engine, tally)
        findings = look(engine, ObjectStore(folder / "state" / "objects"), tally, stuck_s)
    killed = ", ".join(f"{name} {count}" for name, count in sorted(tally.kills.items()))
    say(f"{tally.tries} requests for {args.studies} studies; killed: {killed}")
    return findings


def _wait_until_up(base: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if httpx.get(f"{base}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise UsageError("the service did not start in two minutes; look into its log")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines crash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("--studies", type=int, default=300, help="how many are sent (default: 300)")
    parse.add_argument("--kills", type=int, default=100, help="how many kills in all (default: 100)")
    parse.add_argument("--pause", type=float, default=4.0, help="seconds between kills, on average (default: 4)")
    parse.add_argument("--size", type=int, default=160, help="side of a film in pixels (default: 160)")
    parse.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite", help="which (default: sqlite)")
    parse.add_argument("--seed", type=int, default=0, help="of the kills (default: 0)")
    parse.add_argument("--keep", type=Path, help="empty folder for state and logs; a temporary one if left out")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; exit code 1 if anything was lost, doubled or stuck."""
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="medground-crash-") as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            findings = run(args, folder)
        except MedgroundError as error:
            say(f"error: {error}")
            return error.exit_code
    print(json.dumps({name: getattr(findings, name) for name in Findings.__slots__}, indent=1))
    return 0 if findings.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
