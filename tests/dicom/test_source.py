"""What a file may carry in front of its data set when it is handed on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.dicom.source import clean_preamble, sanitized
from medground.schema.errors import LimitError

Make = Callable[..., bytes]


@pytest.mark.parametrize("preamble", [b"MZ\x90\0", b"\x7fELF", b"#!/bin/sh\nid\n", b"II", b"MM\0+"[:3]])
def test_what_a_program_could_run_is_zeroed(make_file: Make, tmp_path: Path, preamble: bytes) -> None:
    good = make_file(np.arange(16, dtype=np.uint8).reshape(4, 4))
    path = tmp_path / "received"
    path.write_bytes(preamble.ljust(128, b"\x41") + good[128:])
    for clean in (clean_preamble(path.read_bytes()), sanitized(path, Limits())):
        assert clean == bytes(128) + good[128:]
        assert open_image(clean).stored()[3, 3] == 15


@pytest.mark.parametrize("magic", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_a_tiff_keeps_its_preamble(make_file: Make, magic: bytes) -> None:
    content = magic.ljust(128, b"\x11") + make_file(np.zeros((2, 2), np.uint8))[128:]
    assert sanitized(content, Limits()) == content


def test_a_file_without_a_prefix_has_no_preamble(make_file: Make) -> None:
    content = make_file(np.zeros((2, 2), np.uint8), prefix=False)
    assert clean_preamble(content) == content
    with pytest.raises(LimitError, match="max_file_bytes"):
        sanitized(content, Limits(max_file_bytes=10))
