from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest

from pipelines.canary_places import Canary
from pipelines.canary_search import CanarySearch
from pipelines.canary_studies import canary

ONE, OTHER = canary(1, 1, "patient name"), canary(1, 2, "patient name")


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "percent-encoded where it must be": quote,
    "percent-encoded throughout": percent,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs, behind a letter": lambda text: base64.urlsafe_b64encode(f"x{text}".encode()).decode(),
    "base64 behind two letters": lambda text: base64.b64encode(f"xy{text}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal behind a digit": lambda text: f"7{text.encode().hex().upper()}",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["{}", "before {} and behind", '{{"name": "{}", "time": "2026-01-01T10:11:12Z"}}'])
def test_a_canary_is_found_in_every_form(form: str, where: str) -> None:
    search = CanarySearch([ONE, OTHER])
    for text in (ONE.word, ONE.name, f"{ONE.digits} ", f"id {OTHER.digits}."):
        told = where.format(FORMS[form](text)).encode()
        assert search.hits(told) > 0, (text, told)


def test_what_is_no_canary_is_not_found() -> None:
    search = CanarySearch([ONE])
    for text in ("", "/v1/studies/{study}", OTHER.digits, f"1{ONE.digits}", ONE.digits[:-1], "0f" * 32, "%", "%zz"):
        assert search.hits(text.encode()) == 0, text


def test_each_is_counted() -> None:
    search = CanarySearch([ONE, Canary("word", "1234567891", ONE.day)])
    assert search.hits(f"{ONE.word} {ONE.word} 1234567891 {ONE.digits}".encode()) == 4
