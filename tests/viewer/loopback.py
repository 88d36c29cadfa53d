"""A server on loopback that answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    """What a server was asked.

    Attributes:
        method: of HTTP.
        path: without the query.
        query, form: the parameters, each the last of its name.
    """

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]


@contextmanager
def serving(answer: Callable[[Asked], Answer]) -> Iterator[str]:
    """Gives the address; `answer` gives status, headers and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            form = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
            status, headers, content = answer(
                Asked(self.command, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), form)
            )
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
