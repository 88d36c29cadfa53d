"""The parts of a service that work on a database and a folder, by a clock that tests set forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from medground.schema.result import ModelInfo
from medground.serving.database import connect, create_tables, writing
from medground.serving.deliveries import Deliveries
from medground.serving.intake import Accepted, Intake, Origin, Sender, read_file
from medground.serving.jobs import Job, JobRequest, Jobs, nothing
from medground.serving.objects import ObjectStore
from medground.serving.result_file import ResultFile
from medground.serving.results import Results
from medground.serving.reviews import Reviews
from medground.serving.worklist import WorkList
from tests.inference.drawn import BlobPx
from tests.serving.access.clock import Clock
from tests.serving.running import film

MODEL = ModelInfo(name="blobs", version="1", sha256="0" * 64, trained_on=())
QUESTION = JobRequest(queries=("is there a nodule?",))


@dataclass(frozen=True)
class Parts:
    """See the classes of each."""

    folder: Path
    engine: Engine
    store: ObjectStore
    clock: Clock
    intake: Intake
    jobs: Jobs
    results: Results
    deliveries: Deliveries
    reviews: Reviews
    worklist: WorkList

    def accept(self, path: Path, tenant: str = "clinic", origin: Origin = Origin.HTTP, ae: str = "") -> Accepted:
        with self.store.incoming() as incoming:
            read_file(path, incoming)
            return self.intake.accept(incoming, Sender(tenant, origin, ae))

    def film(self, study: int, *blobs: BlobPx, instance: int = 1, **header: Any) -> Path:
        return film(self.folder, study, *blobs, instance=instance, **header)

    def ask(self, *accepted: Accepted, request: JobRequest = QUESTION, **changes: Any) -> Job:
        """The job of a question about images, queued if it is new."""
        given = {"tenant": "clinic", "model_sha256": MODEL.sha256, "origin": "http", "requested_by": "t"} | changes
        ids = [one.instance_id for one in accepted]
        with writing(self.engine) as connection:
            made = self.jobs.submit(connection, instance_ids=ids, request=request, **given)
        return self.jobs.get(made)

    def finish(self, job: Job, replaces: str = "", kinds: Sequence[str] = ("json", "sr", "gsps")) -> bool:
        """Write a result of files that hold their kind's name."""
        uids = {"sr": f"1.2.{int(job.job_id[:8], 16)}", "gsps": f"1.3.{int(job.job_id[:8], 16)}"}
        files = [
            ResultFile(kind, 1, uids.get(kind, ""), self.store.add(f"{kind} of {job.job_id}".encode()))
            for kind in kinds
        ]
        self.jobs.begin(job)
        return self.results.write(job, files, MODEL, replaces, nothing)

    def order(self, job: Job, *destinations: str, again: bool = False) -> None:
        with writing(self.engine) as connection:
            self.deliveries.order(connection, job.job_id, destinations, again=again)

    def within(self, work: Callable[[Connection], object]) -> None:
        with writing(self.engine) as connection:
            work(connection)


@contextmanager
def parts_in(folder: Path, url: str | None = None) -> Iterator[Parts]:
    """Parts over a new database; SQLite in the folder unless `url` names another."""
    engine = connect(url or f"sqlite:///{folder / 'service.db'}")
    create_tables(engine)
    store, clock = ObjectStore(folder / "objects"), Clock()
    jobs = Jobs(engine, clock.now_us)
    yield Parts(
        folder=folder,
        engine=engine,
        store=store,
        clock=clock,
        intake=Intake(engine, store, clock.now_us),
        jobs=jobs,
        results=Results(engine, jobs, clock.now_us),
        deliveries=Deliveries(engine, clock.now_us),
        reviews=Reviews(engine, clock.now_us),
        worklist=WorkList(engine),
    )
    engine.dispose()
