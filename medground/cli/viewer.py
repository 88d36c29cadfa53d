"""`medground viewer`: the page, and where nobody names a service, a service of its own with synthetic studies."""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from medground.client.client import Client
from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_ct_study, write_radiograph_study
from medground.schema.errors import UsageError
from medground.viewer.config import ViewerConfig, read_config
from medground.viewer.own_service import own_service
from medground.viewer.server import serve_viewer

FIRST_SEED = 9_100_000  # no training, tuning or test part of the shipped model lies here
_FILM_PX = 1024
_FILMS = (("nodule", "pleural_effusion"), ("pneumothorax",), ())


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground viewer`, parsed; see its help for the meaning of each."""

    service: str | None
    config: Path | None
    port: int | None
    state: Path


def run_viewer(options: Options) -> int:
    """Run until stopped.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: it could not start.
    """
    console = Console(stderr=True)

    def say(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    config = config_of(options)
    signal.signal(signal.SIGTERM, _end)  # uvicorn raises it again once it has ended: the service is to end as well
    with ExitStack() as stack:
        token = None
        if config.service is None:
            say(f"starting a service of its own; its studies stay in {options.state}")
            own = stack.enter_context(own_service(options.state))
            config, token = _changed(config, {"service": own.url}), own.token
            with Client(own.url, own.token) as client:
                if not client.studies(limit=1).studies:
                    say("writing synthetic studies to look at")
                    store_examples(client)
        serve_viewer(config, say=say, token=token)
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)


def config_of(options: Options) -> ViewerConfig:
    """The config file with the flags instead of what it says.

    Raises:
        UsageError: the file or the two together make no config.
    """
    config = ViewerConfig() if options.config is None else read_config(options.config)
    flags: dict[str, Any] = {"service": options.service, "port": options.port}
    return _changed(config, {name: value for name, value in flags.items() if value is not None})


def _changed(config: ViewerConfig, changes: dict[str, Any]) -> ViewerConfig:
    try:
        return ViewerConfig.model_validate({**config.model_dump(mode="json", exclude_unset=True), **changes})
    except ValidationError as cause:
        first = cause.errors(include_input=False)[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}") from cause


def store_examples(client: Client) -> None:
    """Store synthetic studies: films with and without findings, and a CT.

    Args:
        client: of a service, with the scope `ground`.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number, findings in enumerate(_FILMS):
            film = chest_radiograph(FIRST_SEED + number, size_px=_FILM_PX, findings=findings)
            client.store(write_radiograph_study(film, Path(folder) / f"film-{number}"))
        client.store(write_ct_study(chest_ct(FIRST_SEED + len(_FILMS)), Path(folder) / "ct"))
