"""From errors to one sentence on stderr and an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import typer

from medground.schema.errors import MedgroundError

_SERVING = (
    *("fastapi", "uvicorn", "multipart", "sse_starlette", "httpx", "joserfc", "cryptography"),
    *("sqlalchemy", "psycopg", "dbos", "structlog", "prometheus_client", "pynetdicom"),
)
_EXTRA_OF = (
    dict.fromkeys(_SERVING, "serve")
    | dict.fromkeys(("streamlit", "starlette"), "viewer")
    | dict.fromkeys(("accelerate", "mlflow", "sklearn", "matplotlib"), "train")
    | dict.fromkeys(("transformers", "peft"), "qwen")
    | dict.fromkeys(("model_signing", "OpenSSL"), "card")
)


def exit_code_of(work: Callable[[], int], *, debug: bool = False) -> int:
    """Do some work; an error becomes one sentence on stderr and its exit code.

    Args:
        work: gives an exit code.
        debug: show the traceback as well.

    Returns:
        The exit code of the work or of its error; 1 for an error that is not medground's own.
    """
    try:
        return work()
    except MedgroundError as error:
        if debug:
            traceback.print_exc()
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except ModuleNotFoundError as error:
        if debug:
            traceback.print_exc()
        extra = _EXTRA_OF.get((error.name or "").partition(".")[0], "data")
        typer.echo(f"error: this needs the package {error.name}; pip install 'medground[{extra}]' brings it", err=True)
        return 1
    except OSError as error:
        if debug:
            traceback.print_exc()
        # `strerror` is the system's own sentence; the path beside it could name a patient.
        typer.echo(f"error: a file cannot be read or written: {error.strerror or type(error).__name__}", err=True)
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        # The message of a foreign exception may quote the file; its class does not.
        typer.echo(f"error: unexpected {type(error).__name__}; run again with --debug for the traceback", err=True)
        return 1
