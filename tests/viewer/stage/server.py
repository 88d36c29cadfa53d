"""Serves the page, the built component and slices made of arrays, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
STATIC = HERE.parents[2] / "medground" / "viewer" / "static"
FILES = {
    "/page.html": (HERE / "page.html", "text/html; charset=utf-8"),
    "/viewer.js": (STATIC / "viewer.js", "text/javascript; charset=utf-8"),
    "/viewer.css": (STATIC / "viewer.css", "text/css; charset=utf-8"),
}


class SliceServer:
    """Arrays by path, and how requests for them are answered.

    Attributes:
        statuses: answer a path with an error of this status.
        asked: paths of slices, in the order in which they were asked for.
        gate: no slice is answered while it is closed.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self._came = threading.Condition()
        self._slices: dict[str, tuple[str, bytes]] = {}
        self._shapes: dict[str, tuple[int, int]] = {}

    def reset(self) -> None:
        """Forget everything that was served and asked for."""
        for kept in (self.statuses, self.asked, self._slices, self._shapes):
            kept.clear()

    def put(self, path: str, pixels: NDArray[np.uint16], **reading: Any) -> str:
        """Serve an array (rows, columns) or (rows, columns, 3).

        Args:
            path: where.
            pixels: as they go over the line.
            reading: parts of the X-Frame header other than those of plain numbers.

        Returns:
            The path.
        """
        header = {
            "rows": pixels.shape[0],
            "columns": pixels.shape[1],
            "samples": 1 if pixels.ndim == 2 else 3,
            "slope": 1.0,
            "intercept": 0.0,
            "lowest": float(pixels.min()),
            "highest": float(pixels.max()),
            "inverted": False,
            "spacing_mm": None,
        }
        self._shapes[path] = (pixels.shape[0], pixels.shape[1])
        self._slices[path] = (json.dumps({**header, **reading}), pixels.astype("<u2").tobytes())
        return path

    def shape(self, path: str) -> tuple[int, int]:
        """Rows and columns of what is served at a path."""
        return self._shapes[path]

    def wait_for(self, condition: Callable[[list[str]], bool]) -> None:
        """Wait until the paths asked for meet a condition."""
        with self._came:
            assert self._came.wait_for(lambda: condition(self.asked), timeout=120), self.asked

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.path in FILES:
            file, kind = FILES[request.path]
            self._send(request, 200, file.read_bytes(), {"Content-Type": kind})
            return
        with self._came:
            self.asked.append(request.path)
            self._came.notify_all()
        self.gate.wait()
        status = self.statuses.get(request.path, 200 if request.path in self._slices else 404)
        if status != 200:
            self._send(request, status, json.dumps({"detail": f"refused with {status}"}).encode(), {})
            return
        header, body = self._slices[request.path]
        self._send(request, 200, body, {"X-Frame": header, "Content-Type": "application/octet-stream"})

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Cache-Control": "no-store"}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def serving() -> Iterator[SliceServer]:
    """A server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                slices.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the browser gave the request up

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    slices = SliceServer(httpd.server_address[1])
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield slices
    finally:
        slices.gate.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
