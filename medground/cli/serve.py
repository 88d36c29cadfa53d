"""`medground serve`: the config, changed by the flags, and one process of the service."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from rich.console import Console

from medground.schema.errors import UsageError
from medground.serving.config import Role, ServiceConfig, load_config
from medground.serving.run import serve

if TYPE_CHECKING:
    from medground.inference.reader import Reader


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground serve`, parsed; see its help for the meaning of each."""

    config: Path | None
    state: Path | None
    port: int | None
    dicom_port: int | None
    database: str | None
    role: str
    ends_with_input: bool = False
    without_card: bool = False


def run_serve(options: Options) -> int:
    """Run until stopped.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: it could not start.
    """
    if options.role not in set(Role):
        raise UsageError(f"--role {options.role!r} is none of {', '.join(Role)}")
    console = Console(stderr=True)
    serve(
        config_of(options),
        Role(options.role),
        _load,
        say=lambda words: console.print(words, markup=False, highlight=False, soft_wrap=True),
        input_file=sys.stdin.fileno() if options.ends_with_input else None,
    )
    return 0


def _load(bundle: Path | None, device: str) -> Reader:
    from medground.model.grounder import load_grounder

    return load_grounder(bundle, device)


def config_of(options: Options) -> ServiceConfig:
    """The config file with the flags instead of what it says.

    Raises:
        UsageError: the file or the two together make no config.
    """
    config = load_config(options.config)
    changed: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    if options.state is not None:
        changed["state"] = str(options.state)
    if options.database is not None:
        changed["database"] = options.database
    if options.port is not None:
        changed.setdefault("http", {})["port"] = options.port
    if options.dicom_port is not None:
        changed["dicom"] = {**(changed.get("dicom") or {}), "port": options.dicom_port}
    if options.without_card:
        changed.setdefault("model", {})["require_card"] = False
    try:
        return ServiceConfig.model_validate(changed)
    except ValidationError as cause:
        first = cause.errors(include_input=False)[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}") from cause
