"""A viewer as a process of its own, before a service, for benchmarks and for the tests in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medground.schema.errors import UsageError

_START_S, _STOP_S = 120, 30
FIND_STAGE = """(() => {
  const within = root => {
    for (const one of root.querySelectorAll('*')) {
      if (one.classList.contains('stage')) return one;
      const found = one.shadowRoot && within(one.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  return within(document);
})()"""
"""JavaScript for the element of the stage, which lives in a shadow root; null where the page has none."""


@contextmanager
def viewer_process(service: str, folder: Path) -> Iterator[str]:
    """Start a viewer on a free port; it ends with the block.

    Args:
        service: root of the service that it shows.
        folder: where its log goes.

    Yields:
        The address of its page.

    Raises:
        UsageError: it did not start in two minutes, or ended.
    """
    log = folder / "viewer.log"
    command = [sys.executable, "-m", "medground.cli", "viewer", "--service", service, "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(_STOP_S)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"the viewer is at (http://\S+)", log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        time.sleep(0.1)
    raise UsageError(f"the viewer did not start: {log.read_text(encoding='utf-8')[-500:]}")
