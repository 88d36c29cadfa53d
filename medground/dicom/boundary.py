"""The one place where what pydicom and the decoders raise becomes an error of medground."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from medground.schema.errors import InputError, LimitError, MedgroundError


@contextmanager
def typed_errors(kind: type[InputError], sentence: str, *, quote_cause: bool = False) -> Iterator[None]:
    """Let only medground errors out of the block, and keep pydicom's warnings (they may quote the patient) in it.

    Args:
        kind: class raised for everything that has no class of its own.
        sentence: what failed, without a full stop.
        quote_cause: append the message of the cause; only where it cannot hold a value of the patient module.

    Raises:
        LimitError: on RecursionError and MemoryError.
        InputError: `kind`, with the original exception as its cause.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MedgroundError:
        raise
    except RecursionError as cause:
        raise LimitError(f"{sentence}: sequences are nested too deeply (limit max_nesting)") from cause
    except MemoryError as cause:
        raise LimitError(f"{sentence}: it needs more memory than there is (limit max_frame_bytes)") from cause
    except Exception as cause:
        detail = " ".join(str(cause).split())[:200] if quote_cause else type(cause).__name__
        raise kind(f"{sentence}: {detail or type(cause).__name__}") from cause
