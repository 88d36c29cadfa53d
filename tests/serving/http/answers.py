"""Short ways to ask, and to say what an answer must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from medground.schema.result import GroundingResult

QUESTION = "is there a nodule?"
ASYNC = {"Prefer": "respond-async"}


def post(client: httpx.Client, *files: Path | bytes, url: str = "/v1/ground", **details: Any) -> httpx.Response:
    """Send files with a question; `details` are fields, but for `headers`."""
    headers = details.pop("headers", {})
    data = {"query": QUESTION, **details} if url == "/v1/ground" else details
    parts = [("file", ("a", one if isinstance(one, bytes) else one.read_bytes())) for one in files]
    return client.post(
        url, data={name: value for name, value in data.items() if value is not None}, files=parts, headers=headers
    )


def job_of(answer: httpx.Response) -> str:
    return answer.headers["location"].rpartition("/")[2]


def result_of(answer: httpx.Response) -> GroundingResult:
    assert answer.status_code == 200, answer.text
    return GroundingResult.model_validate_json(answer.content)


def problem(answer: httpx.Response, status: int, kind: str, said: str | Sequence[str] = "") -> dict[str, Any]:
    """The problem that an answer must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == (f"urn:medground:problem:{kind}", status), body
    for words in [said] if isinstance(said, str) else said:
        assert words in body["detail"], body
    return body
