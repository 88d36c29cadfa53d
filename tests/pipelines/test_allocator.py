from __future__ import annotations

import ctypes
import sys

import pytest

from pipelines.allocator import keep_freed_memory


def refuse(name: str) -> None:
    raise OSError(name)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_glibc_takes_the_setting():
    assert keep_freed_memory()


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert not keep_freed_memory()
