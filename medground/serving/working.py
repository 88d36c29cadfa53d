"""Working: the side of a service that has the model; answers jobs and delivers results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import torch

from medground.audit.anchor import AnchorFile, anchor_head
from medground.audit.event import Action
from medground.inference.reader import Reader
from medground.schema.errors import MedgroundError
from medground.serving.archives import open_archives
from medground.serving.dispatcher import WATCH_EVERY_US, Chore, Dispatcher
from medground.serving.model import SharedReader
from medground.serving.rules import Completion
from medground.serving.service import SYSTEM, Service
from medground.serving.times import now_us, utc_now
from medground.serving.worker import Worker
from medground.serving.workflows import Steps, WorkerSeat, Workflows

LoadReader = Callable[[Path | None, str], Reader]
HOUSEKEEPING_EVERY_US = 600_000_000
ANCHOR_EVERY_US = 60_000_000
WORKFLOWS_KEPT = timedelta(days=2)


@contextmanager
def working(service: Service, load: LoadReader) -> Iterator[None]:
    """Answer jobs and deliver results while the block lasts: model, workflows and dispatcher; once in a process.

    Args:
        service: whose.
        load: gives the model for a bundle and a device.
    """
    config = service.config
    if config.model.threads:
        torch.set_num_threads(config.model.threads)
    reader = SharedReader(load(config.model.bundle, config.model.device))
    service.metrics.follow(reader)
    service.ready["model"] = lambda: "" if reader.is_alive else "has ended"
    service.record(SYSTEM, Action.MODEL_LOADED, bundle=reader.info.sha256[:40], version=reader.info.version)
    with ExitStack() as parts:
        parts.callback(reader.close)
        worker = Worker(
            engine=service.engine,
            store=service.store,
            jobs=service.jobs,
            results=service.results,
            deliveries=service.deliveries,
            audit=service.audit,
            reader=reader,
            untrusted=service.untrusted,
            archives=parts.enter_context(open_archives(config)),
            log=service.log,
            sleep=time.sleep,
        )
        seat = parts.enter_context(WorkerSeat(config.state / "workers"))
        workflows = parts.enter_context(
            Workflows(
                config.workflows_url,
                seat.name,
                Steps(worker.answer, worker.deliver),
                model_sha256=reader.info.sha256,
                jobs_at_once=config.model.jobs_at_once,
                destinations=config.destinations,
            )
        )
        completion = Completion(
            service.engine, service.jobs, service.deliveries, config.rules, int(config.quiet_s * 1e6), now_us
        )
        dispatcher = parts.enter_context(
            Dispatcher(
                service.engine,
                service.jobs,
                service.deliveries,
                completion,
                workflows,
                executor=seat.name,
                model_sha256=reader.info.sha256,
                now_us=now_us,
                log=service.log,
                chores=_chores(service, workflows),
            )
        )
        service.nudges.append(dispatcher.nudge)
        service.ready["dispatcher"] = lambda: "" if dispatcher.is_turning else "has not looked for work for long"
        service.log.info("model_loaded", model=reader.info.name, version=reader.info.version, executor=seat.name)
        yield


def _chores(service: Service, workflows: Workflows) -> list[Chore]:
    """What a worker does now and then besides answering."""

    def forget_workflows() -> None:
        workflows.forget_ended(utc_now() - WORKFLOWS_KEPT)

    chores = [
        Chore(workflows.listen_again, WATCH_EVERY_US),
        Chore(service.retention.run, HOUSEKEEPING_EVERY_US),
        Chore(forget_workflows, HOUSEKEEPING_EVERY_US),
    ]
    if service.config.anchor_file is not None:
        anchors = AnchorFile(service.config.anchor_file)
        chores.append(Chore(lambda: _anchor(service, anchors), ANCHOR_EVERY_US))
    return chores


def _anchor(service: Service, anchors: AnchorFile) -> None:
    """Note the head of the audit log elsewhere; where that is not possible now, the work goes on."""
    try:
        anchor_head(service.audit, anchors, utc_now)
    except MedgroundError as error:
        service.log.error("audit_not_anchored", kind=type(error).__name__)
