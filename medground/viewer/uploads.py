"""Uploads: Streamlit holds them in memory, so a page may hold only so much at once, and lets go of what was stored."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

UPLOAD = "/_stcore/upload_file/"
MOST_MIB = 512  # of one open page, in one file or many
_MIB = 2**20
LIMIT_WORDS = (
    f"At most {MOST_MIB} MiB at once, in one file or in all. Send more by DICOM C-STORE, or with the Python client "
    "(`medground.client`), which sends any number of files."
)


class UploadLimit:
    """ASGI middleware that refuses a file once the files of its page are too many for the memory of a laptop.

    Args:
        app: what it stands before.
        most_bytes: of one page.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int = MOST_MIB * _MIB) -> None:
        self._app, self._most_bytes = app, most_bytes
        self._coming: dict[str, int] = {}  # bytes on their way, by page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass, or refuse."""
        if scope["type"] != "http" or scope["method"] != "PUT" or not scope["path"].startswith(UPLOAD):
            await self._app(scope, receive, send)
            return
        page = scope["path"].removeprefix(UPLOAD).partition("/")[0]
        told = Headers(scope=scope).get("content-length", "")
        if not told.isdecimal():
            await JSONResponse({"detail": "the length of a file has to be told"}, 411)(scope, receive, send)
            return
        size, coming = int(told), self._coming.get(page, 0)
        if held_bytes(page) + coming + size > self._most_bytes:
            await JSONResponse({"detail": LIMIT_WORDS}, 413)(scope, receive, send)
            return
        self._coming[page] = coming + size
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming[page] -= size
            if not self._coming[page]:
                del self._coming[page]


def held_bytes(page: str) -> int:
    """What Streamlit holds of the files of an open page.

    Args:
        page: its id, by which Streamlit names it in the addresses of uploads.
    """
    files = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    if not isinstance(files, MemoryUploadedFileManager):
        return 0
    return sum(len(one.data) for one in list(files.file_storage.get(page, {}).values()))


def let_go(files: Iterable[UploadedFile]) -> None:
    """Free the memory of files of the page that is being made; Streamlit would hold them until it is closed."""
    context = get_script_run_ctx()
    if context is None or not isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        return
    for one in files:
        context.uploaded_file_mgr.remove_file(context.session_id, one.file_id)
        one.close()
