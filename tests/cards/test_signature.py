"""`card.sig` is read to the byte."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.cards.signature import read_signature
from medground.schema.errors import CardError
from tests.cards.small_card import SmallCard


def test_another_form_of_the_same_is_refused(card: SmallCard) -> None:
    content = (card.directory / "card.sig").read_bytes()
    members = json.loads(content)
    compact = json.dumps(members, separators=(",", ":")).encode()
    assert compact == content
    for other in (json.dumps(members).encode(), content + b"\n", b" " + content, b"\xef\xbb\xbf" + content):
        with pytest.raises(CardError):
            read_signature(other)


def test_the_unread_bits_of_base64_are_read(card: SmallCard) -> None:
    """`QQ==` and `QR==` are the same byte to most readers."""
    members = json.loads((card.directory / "card.sig").read_bytes())
    for padding, other in ((b"a", "YR=="), (b"ab", "YWJ=")):
        assert base64.b64decode(other) == padding
        members["dsseEnvelope"]["signatures"][0]["sig"] = other
        with pytest.raises(CardError, match="no signature of a card"):
            read_signature(json.dumps(members, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mediaType",), "application/vnd.dev.sigstore.bundle.v0.2+json"),
        (("verificationMaterial", "publicKey", "hint"), None),
        (("verificationMaterial", "tlogEntries"), [{}]),
        (("dsseEnvelope", "payloadType"), "text/plain"),
        (("dsseEnvelope", "signatures"), []),
        (("more",), 1),
    ],
)
def test_members_of_other_kinds_are_refused(card: SmallCard, path: tuple[str, ...], value: Any) -> None:
    members = json.loads((card.directory / "card.sig").read_bytes())
    place = members
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(CardError):
        read_signature(json.dumps(members, separators=(",", ":")).encode())


def test_what_is_signed_must_be_files_of_a_card(card: SmallCard) -> None:
    members = json.loads((card.directory / "card.sig").read_bytes())
    statement = json.loads(base64.b64decode(members["dsseEnvelope"]["payload"]))
    assert statement["predicate"]["serialization"]["allow_symlinks"] is False
    for name, value in (("allow_symlinks", True), ("ignore_paths", ["card.sig", "facts.json"]), ("method", "shards")):
        changed = json.loads(json.dumps(statement))
        changed["predicate"]["serialization"][name] = value
        members["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(changed).encode()).decode()
        read = read_signature(json.dumps(members, separators=(",", ":")).encode())
        assert not read.holds(card.key)
        with pytest.raises(CardError, match="what is signed is not what a card is signed for"):
            read.files()


@given(st.data())
def test_every_other_byte_is_found(card: SmallCard, data: st.DataObject) -> None:
    content = bytearray((card.directory / "card.sig").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        read = read_signature(bytes(content))
    except CardError:
        return
    assert not read.holds(card.key)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with pytest.raises(CardError):
        read_signature(content)
