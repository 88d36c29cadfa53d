from __future__ import annotations

import re
import string
import zlib
from base64 import urlsafe_b64encode

from hypothesis import given
from hypothesis import strategies as st

from medground.serving.access.token_format import PATTERN, TokenParts, parse_token, write_token

ALPHABET = string.ascii_letters + string.digits + "-_"
parts = st.builds(TokenParts, st.binary(min_size=8, max_size=8).map(bytes.hex), st.binary(min_size=32, max_size=32))


def test_a_token_is_written_as_documented() -> None:
    text = write_token(TokenParts("00112233aabbccdd", bytes(range(32))))
    secret = urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
    check = urlsafe_b64encode(zlib.crc32(f"mg_00112233aabbccdd_{secret}".encode()).to_bytes(4, "big")).decode()[:6]
    assert text == f"mg_00112233aabbccdd_{secret}{check}"
    assert len(text) == 69


@given(parts)
def test_what_is_written_is_read_and_scanners_match_it(token: TokenParts) -> None:
    text = write_token(token)
    assert parse_token(text) == token
    assert re.fullmatch(PATTERN, text)
    assert re.search(rf"\b{PATTERN}", f"export TOKEN='{text}'\n")[0] == text  # type: ignore[index]


@given(parts, st.data())
def test_one_wrong_character_is_noticed(token: TokenParts, data: st.DataObject) -> None:
    text = write_token(token)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(text[place], "")))
    assert parse_token(text[:place] + other + text[place + 1 :]) is None


@given(parts, st.integers(0, 67))
def test_two_characters_in_the_wrong_order_are_noticed(token: TokenParts, place: int) -> None:
    text = write_token(token)
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert (parse_token(swapped) is None) == (swapped != text)


@given(parts, st.integers(0, 68), st.text(max_size=3))
def test_what_is_cut_or_longer_is_no_token(token: TokenParts, length: int, more: str) -> None:
    text = write_token(token)
    assert parse_token(text[:length]) is None
    assert (parse_token(text + more) is None) == (more != "")


@given(st.text() | st.from_regex(rf"\A{PATTERN}\Z"))
def test_any_other_text_is_read_without_harm(text: str) -> None:
    found = parse_token(text)
    assert found is None or write_token(found) == text


def test_the_secret_is_not_shown() -> None:
    assert repr(TokenParts("00112233aabbccdd", b"s" * 32)) == "TokenParts(token_id='00112233aabbccdd')"
