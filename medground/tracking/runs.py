"""Runs in MLflow: a parent with a child for each stage or measurement, gone on with after a kill."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError
from medground.tracking.figures import Figure, as_metrics
from medground.tracking.store import holds_run, may_pass, open_store, reason_of

PARENT_TAG = "mlflow.parentRunId"
KIND_TAG = "medground.kind"
METRICS_AT_ONCE, PARAMETERS_AT_ONCE = 500, 100  # MLflow takes at most 1,000 and 100 in one call
LONGEST_VALUE, LONGEST_DIGEST = 5000, 36
Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """What a run was trained or measured on.

    Attributes:
        name: of the data set, such as `fracatlas/train`.
        sha256: of its records.
        counts: images, boxes and so on.
    """

    name: str
    sha256: str
    counts: Mapping[str, int] = field(default_factory=dict)


class RunNotes:
    """The ids of a run and of its children, kept in the training folder so that a resumed training finds them.

    A file that cannot be written is said once and stops nothing; it is then as it was before.

    Args:
        path: of the JSON file; None keeps nothing.
        say: told of a file that cannot be read or written.
    """

    def __init__(self, path: Path | None, say: Say = print) -> None:
        self._path, self._say, self._failed = path, say, False
        self._ids: dict[str, str] = {}
        try:
            with suppress(FileNotFoundError, ValueError, TypeError):
                self._ids = dict(json.loads(path.read_text(encoding="utf-8"))) if path else {}
        except OSError as error:
            self._report(error)

    def find(self, name: str) -> str | None:
        """The id kept under a name."""
        return self._ids.get(name)

    def keep(self, name: str, value: str) -> None:
        """Keeps an id, or another word, under a name; the file is whole at any moment."""
        self._ids[name] = value
        if self._path:
            part = self._path.with_name(f"{self._path.name}.part")
            try:
                part.write_text(json.dumps(self._ids, indent=1), encoding="utf-8")
                part.replace(self._path)
            except OSError as error:
                with suppress(OSError):
                    part.unlink()
                self._report(error)

    def _report(self, error: OSError) -> None:
        if not self._failed:
            reason = error.strerror or type(error).__name__
            self._say(f"{self._path} cannot be kept ({reason}); after a kill, MLflow gets new runs instead of these")
        self._failed = True


@dataclass
class _Store:
    """What a run and its children have in common; without a client nothing is written.

    Attributes:
        client: of the store; None if it could not be opened.
        experiment_id: where children are made.
        notes: of the ids.
        say: told once of a store that is lost, locked or full.
    """

    client: MlflowClient | None
    experiment_id: str
    notes: RunNotes
    say: Say
    said: bool = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tells of a store that fails, and goes on after the block.

        Raises:
            MlflowException: if what is written is wrong, not the store.
        """
        try:
            yield
        except mlflow.exceptions.MlflowException as error:
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise
            self.report(error)
        except OSError as error:
            self.report(error)

    def report(self, error: Exception) -> None:
        """Tells the reason, the first time."""
        if not self.said:
            self.say(f"MLflow cannot be written to ({reason_of(error)}); going on without it")
        self.said = True


class RunLog:
    """One MLflow run that is open for writing.

    A store that is lost, locked or full when a run is opened or written to is said once, for the run and its children
    together, and stops nothing: training goes on, and what was not written is not written later. A run that could not
    be opened has no id; it and its children drop what they are given.

    Attributes:
        run_id: in the store; empty if the run could not be opened.
        is_whole: all that it was given is in the store.
    """

    def __init__(self, store: _Store, run_id: str) -> None:
        self._store = store
        self.run_id = run_id
        self.is_whole = bool(run_id)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Records parameters, cut to what MLflow stores; a changed one keeps its first value, the new is a tag."""
        wanted = {key: str(value)[:LONGEST_VALUE] for key, value in values.items()}

        def write(client: MlflowClient) -> None:
            known = client.get_run(self.run_id).data.params
            new = [mlflow.entities.Param(key, value) for key, value in wanted.items() if key not in known]
            for some in _parts(new, PARAMETERS_AT_ONCE):
                client.log_batch(self.run_id, params=some)
            for key, value in wanted.items():
                if known.get(key, value) != value:
                    client.set_tag(self.run_id, f"changed.{key}", value)

        self._safely(write)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Records named numbers at a step."""
        now = int(mlflow.utils.time.get_current_time_millis())
        items = [mlflow.entities.Metric(key, float(value), now, step) for key, value in values.items()]
        self._safely(lambda client: [client.log_batch(self.run_id, some) for some in _parts(items, METRICS_AT_ONCE)])

    def curves(self, values: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Records whole curves, as steps and values by name."""
        now, metric = int(mlflow.utils.time.get_current_time_millis()), mlflow.entities.Metric
        items = [metric(key, float(value), now, step) for key, curve in values.items() for step, value in curve]
        self._safely(lambda client: [client.log_batch(self.run_id, some) for some in _parts(items, METRICS_AT_ONCE)])

    def figures(self, figures: Iterable[Figure]) -> None:
        """Records measured figures with their intervals."""
        self.metrics(as_metrics(figures))

    def tags(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        self._safely(lambda client: [client.set_tag(self.run_id, key, value) for key, value in values.items()])

    def datasets(self, versions: Iterable[DatasetVersion], context: str) -> None:
        """Records data sets as MLflow inputs, and their whole hashes as parameters `data/NAME/sha256`.

        Args:
            versions: the data sets.
            context: what they are used for, such as `training`.
        """
        entities, used = mlflow.entities, list(versions)
        inputs = [
            entities.DatasetInput(
                entities.Dataset(
                    name=version.name,
                    digest=version.sha256[:LONGEST_DIGEST],
                    source_type="local",
                    source=json.dumps({"name": version.name}),
                    profile=json.dumps(dict(version.counts)),
                ),
                [entities.InputTag("mlflow.data.context", context)],
            )
            for version in used
        ]
        self._safely(lambda client: client.log_inputs(self.run_id, inputs) if inputs else None)
        self.parameters({f"data/{version.name}/sha256": version.sha256 for version in used})
        self.parameters({f"data/{v.name}/{key}": count for v in used for key, count in v.counts.items()})

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Copies a file into the run, or a folder under its own name; `folder` puts it deeper."""
        if path.is_dir():
            inside = f"{folder}/{path.name}" if folder else path.name
            self._safely(lambda client: client.log_artifacts(self.run_id, str(path), inside))
        else:
            self._safely(lambda client: client.log_artifact(self.run_id, str(path), folder))

    def register(self, bundle: Path, model: str, alias: str) -> None:
        """Copies a bundle into the run and registers it as a version of a model; a second time only moves the alias.

        Args:
            bundle: the bundle's folder, with its `manifest.json`.
            model: name of the registered model.
            alias: what the version is called, such as `newest`; taken from the version that had it.
        """
        digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()

        def write(client: MlflowClient) -> None:
            if not client.search_registered_models(f"name = '{model}'"):
                client.create_registered_model(model)
            versions = client.search_model_versions(f"name = '{model}' and run_id = '{self.run_id}'")
            version = next((v.version for v in versions if v.tags.get("manifest_sha256") == digest), None)
            if version is None:
                inside = f"bundle/{digest[:12]}"  # versions of one run side by side
                client.log_artifacts(self.run_id, str(bundle), inside)
                source = f"{client.get_run(self.run_id).info.artifact_uri}/{inside}"
                tags = {"manifest_sha256": digest}
                version = client.create_model_version(model, source, run_id=self.run_id, tags=tags).version
            client.set_registered_model_alias(model, alias, version)

        self._safely(write)

    @contextmanager
    def child(self, name: str, *, kind: str) -> Iterator[RunLog]:
        """Opens a run below this one, gone on with if the notes know it, and closes it as finished or failed.

        Args:
            name: unique among the children, such as `stage align`.
            kind: `stage` or `evaluation`; kept as the tag `medground.kind`.
        """
        store = self._store

        def opened(client: MlflowClient) -> str:
            run_id = store.notes.find(name)
            if run_id is None or _parent_of(client, run_id) != self.run_id:
                tags = {PARENT_TAG: self.run_id, KIND_TAG: kind}
                run_id = str(client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id)
                store.notes.keep(name, run_id)
            return run_id

        child = RunLog(store, self._safely(opened) or "")
        with child.running():
            yield child

    def end_children(self, names: Iterable[str]) -> None:
        """Ends children of these names as finished that the notes know, whatever a kill left them as.

        Args:
            names: of children whose work is done; one that was never begun is passed over.
        """

        def write(client: MlflowClient) -> None:
            for run_id in filter(None, map(self._store.notes.find, names)):
                mine = _parent_of(client, run_id) == self.run_id
                if mine and client.get_run(run_id).info.status != "FINISHED":
                    client.set_terminated(run_id)

        self._safely(write)

    def note(self, name: str, value: str) -> None:
        """Keeps a word about the run among its notes, in the training folder; see `RunNotes`."""
        self._store.notes.keep(name, value)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Marks the run as running, then as finished or failed."""
        self._safely(lambda client: client.update_run(self.run_id, status="RUNNING"))
        try:
            yield
        except BaseException:
            self._safely(lambda client: client.set_terminated(self.run_id, "FAILED"))
            raise
        self._safely(lambda client: client.set_terminated(self.run_id))

    def _safely(self, write: Callable[[MlflowClient], T]) -> T | None:
        """Writes, and gives what comes of it; None without a run or where the store fails."""
        client = self._store.client
        if client is not None and self.run_id:
            with self._store.told():
                return write(client)
        self.is_whole = False
        return None


@contextmanager
def open_run(
    home: Path, experiment: str, name: str, *, notes: Path | None = None, say: Say = print
) -> Iterator[RunLog]:
    """Opens a run, new or gone on with, and closes it as finished or failed.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment, made if absent.
        name: name of a new run.
        notes: JSON file in the training folder that keeps the ids; with it the run of a killed training goes on.
        say: told of a run that is lost, and of a store or notes that cannot be written to.

    Raises:
        UsageError: if what lies there is no store; one that is locked or full is told, as in `RunLog`.
        MlflowException: if what is written is wrong, such as a run in an experiment that was deleted.
    """
    store = _Store(None, "", RunNotes(notes, say), say)
    try:
        store.client, store.experiment_id = open_store(home, experiment)
    except UsageError as error:
        if not may_pass(error):
            raise
        store.report(error)
    run_id = ""
    if store.client is not None:
        with store.told():
            run_id = _opened(store, store.client, home, name)
    run = RunLog(store, run_id)
    with run.running():
        yield run


def _opened(store: _Store, client: MlflowClient, home: Path, name: str) -> str:
    """The id of the run that the notes know, or of a new one."""
    known = store.notes.find("run")
    if known is not None and holds_run(client, known):
        return known
    tags = {KIND_TAG: "training"} | ({} if known is None else {"medground.goes_on_from_lost_run": known})
    run_id = str(client.create_run(store.experiment_id, run_name=name, tags=tags).info.run_id)
    if known is not None:
        store.say(f"the MLflow store in {os.path.relpath(home)} does not hold run {known}; going on in a new run")
    store.notes.keep("run", run_id)
    return run_id


def find_artifacts(home: Path, experiment: str, run: str, ending: str) -> list[Path]:
    """Files of a run and its children whose names end so.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment.
        run: id of a run, or its name; of several so named, the newest.
        ending: of the file names.

    Raises:
        UsageError: if the store holds no such run.
    """
    family = find_family(home, experiment, run)
    roots = [Path(member.info.artifact_uri.removeprefix("file://")) for member in family]
    return sorted(path for root in roots for path in root.rglob(f"*{ending}"))


def find_family(home: Path, experiment: str, run: str) -> list[mlflow.entities.Run]:
    """A run and its children in the order they were begun; arguments and errors as of `find_artifacts`."""
    client, experiment_id = open_store(home, experiment)
    filters = (f"attributes.run_id = '{run}'", f"attributes.run_name = '{run}'")
    order = ["attributes.start_time DESC"]
    try:
        found = [r for f in filters for r in client.search_runs([experiment_id], f, order_by=order, max_results=1)]
    except mlflow.exceptions.MlflowException:  # a quote in the name
        found = []
    if not found:
        raise UsageError(f"{run!r} is neither a file, a folder nor a run in {home}; see make mlflow for the runs")
    below = f"tags.`{PARENT_TAG}` = '{found[0].info.run_id}'"
    return [found[0], *client.search_runs([experiment_id], below, order_by=["attributes.start_time ASC"])]


def _parent_of(client: MlflowClient, run_id: str) -> str | None:
    if not holds_run(client, run_id):
        return None
    parent: str | None = client.get_run(run_id).data.tags.get(PARENT_TAG)
    return parent


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
