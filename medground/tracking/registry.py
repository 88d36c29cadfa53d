"""The model registry of MLflow: versions with their files, what was decided of them, and the alias of the current one.

Each step can be taken twice: whoever is killed in between begins again and finds what was done.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow

from medground.schema.errors import UsageError
from medground.tracking.runs import KIND_TAG
from medground.tracking.store import open_store

EXPERIMENT = "medground"
LONGEST_TAG = 5000
_KEY_TAG, _DATABASE, _LOCK = "medground.registered", "mlflow.db", ".registry.lock"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model.

    Attributes:
        model: its name.
        number: 1 for the first one.
        tags: what was written about it.
        aliases: that point at it.
        created_ms: milliseconds since 1970, UTC.
        run_id: the run that keeps its files; empty for one that was registered otherwise.
    """

    model: str
    number: int
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    created_ms: int
    run_id: str


def home_of(address: str) -> Path:
    """The folder of a registry.

    Args:
        address: the `mlruns` folder, or `sqlite:///FOLDER/mlflow.db`.

    Raises:
        UsageError: it is another kind of address.
    """
    if "://" not in address:
        return Path(address)
    path = Path(address.removeprefix("sqlite:///"))
    if not address.startswith("sqlite:///") or path.name != _DATABASE:
        raise UsageError(f"--registry {address!r} is neither a folder nor sqlite:///FOLDER/{_DATABASE}; give one")
    return path.parent


class ModelRegistry:
    """The registry in a store; made if absent.

    Args:
        home: the `mlruns` folder.

    Raises:
        UsageError: the store cannot be opened.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._client, self._experiment_id = open_store(home, EXPERIMENT)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the registry while the block lasts; whoever else wants to waits. The lock ends with the process.

        Yields:
            Nothing.
        """
        descriptor = os.open(self._home / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def versions(self, model: str | None = None) -> list[Version]:
        """Versions, newest first, model by model.

        Args:
            model: only of this one; all if None.
        """
        return [one for name in sorted(self._names(model)) for one in self._of(name)]

    def holder(self, model: str, alias: str) -> Version | None:
        """The version that an alias points at; None if there is none."""
        if not self._names(model):
            return None
        number = self._client.get_registered_model(model).aliases.get(alias)
        if number is None:
            return None
        return self._version(self._client.get_model_version(model, str(number)), {alias: str(number)})

    def put(self, model: str, identity: Mapping[str, str], folders: Mapping[str, Path]) -> Version:
        """The version of an identity: the one that is there, else a new one with copies of its files.

        Args:
            model: its name.
            identity: tags that no other version has together.
            folders: what to copy, by the name it gets.
        """
        found = next((v for v in self.versions(model) if identity.items() <= v.tags.items()), None)
        if found is not None:
            return found
        key = "/".join(identity[name] for name in sorted(identity))
        mine = self._client.search_runs([self._experiment_id], f"tags.`{_KEY_TAG}` = '{key}'", max_results=1)
        run = mine[0] if mine else self._new_run(model, key)  # one of a process that was killed goes on
        for name, folder in folders.items():
            self._client.log_artifacts(run.info.run_id, str(folder), name)
        self._client.set_terminated(run.info.run_id)
        if not self._names(model):
            self._client.create_registered_model(model)
        source = f"{run.info.artifact_uri}/{next(iter(folders))}"
        made = self._client.create_model_version(model, source, run_id=run.info.run_id, tags=dict(identity))
        return self._version(made, {})

    def folder(self, version: Version, name: str) -> Path | None:
        """Where the files of a version lie.

        Args:
            version: whose.
            name: that they got; None is given for one that it does not have.
        """
        if not version.run_id:
            return None
        root = Path(self._client.get_run(version.run_id).info.artifact_uri.removeprefix("file://"))
        return root / name if (root / name).is_dir() else None

    def note(self, version: Version, tags: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Write what was decided about a version: first the files beside its own, then the tags.

        Args:
            version: of the registry.
            tags: a value that is too long for one is cut.
            files: text by its path.
        """
        for path, text in files.items():
            self._client.log_text(version.run_id, text, path)
        for name, value in tags.items():
            self._client.set_model_version_tag(version.model, str(version.number), name, value[:LONGEST_TAG])

    def move(self, alias: str, version: Version) -> None:
        """Have an alias point at a version, in one step.

        Args:
            alias: taken from the version that had it.
            version: that gets it.
        """
        self._client.set_registered_model_alias(version.model, alias, str(version.number))

    def _new_run(self, model: str, key: str) -> mlflow.entities.Run:
        tags = {_KEY_TAG: key, KIND_TAG: "promotion"}
        return self._client.create_run(self._experiment_id, run_name=f"promotion of {model}", tags=tags)

    def _names(self, model: str | None) -> list[str]:
        """Registered models: this one if it is, all if None; however many there are."""
        only = None if model is None else f"name = '{model}'"
        names: list[str] = []
        token: str | None = None
        while True:
            page = self._client.search_registered_models(only, page_token=token)
            names += [found.name for found in page]
            if not (token := page.token):
                return names

    def _of(self, model: str) -> list[Version]:
        aliases = self._client.get_registered_model(model).aliases  # a version that was searched for has none
        found = self._client.search_model_versions(f"name = '{model}'")
        return sorted((self._version(one, aliases) for one in found), key=lambda one: -one.number)

    @staticmethod
    def _version(one: mlflow.entities.model_registry.ModelVersion, aliases: Mapping[str, str]) -> Version:
        number = int(one.version)
        mine = tuple(sorted(alias for alias, held in aliases.items() if int(held) == number))
        created = int(one.creation_timestamp or 0)
        return Version(one.name, number, dict(one.tags), mine, created, one.run_id or "")
