"""`card.sig`: a Sigstore bundle with a DSSE envelope around an in-toto statement, as model-signing 1.x writes it.

It is read here and not by that package: it takes half a second to import, and takes what it reads in older forms and
with members that nobody asked for. Here every byte has to be the one that model-signing writes.

Source: DSSE 1.0.2 protocol; in-toto Statement v1; predicate `https://model_signing/signature/v1.0`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from medground.cards.keys import PublicKey
from medground.cards.layout import NOT_SIGNED, Sha256
from medground.schema.config import StrictConfig
from medground.schema.errors import CardError

_PAYLOAD_TYPE = "application/vnd.in-toto+json"


def _base64(text: str) -> str:
    if base64.b64encode(base64.b64decode(text, validate=True)).decode() != text:
        raise ValueError("is not in the canonical form of base64")  # its last character has bits that nobody reads
    return text


Base64 = Annotated[str, AfterValidator(_base64)]


class _Hint(StrictConfig):
    hint: Sha256


class _Material(StrictConfig):
    publicKey: _Hint
    tlogEntries: tuple[()]


class _DsseSignature(StrictConfig):
    sig: Base64
    keyid: Literal[""]


class _Envelope(StrictConfig):
    payload: Base64
    payloadType: Literal["application/vnd.in-toto+json"]
    signatures: tuple[_DsseSignature]


class _Bundle(StrictConfig):
    mediaType: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verificationMaterial: _Material
    dsseEnvelope: _Envelope


class _Digest(StrictConfig):
    sha256: Sha256


class _Subject(StrictConfig):
    name: str
    digest: _Digest


class _Serialization(StrictConfig):
    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: Literal[False]
    ignore_paths: tuple[str, str]

    @model_validator(mode="after")
    def _ignores_no_other(self) -> _Serialization:
        if set(self.ignore_paths) != NOT_SIGNED:
            raise ValueError("leaves other files unsigned than a card does")
        return self


class _Resource(StrictConfig):
    name: str
    algorithm: Literal["sha256"]
    digest: Sha256


class _Predicate(StrictConfig):
    serialization: _Serialization
    resources: tuple[_Resource, ...]


class _Statement(StrictConfig):
    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[_Subject]
    predicateType: Literal["https://model_signing/signature/v1.0"]
    predicate: _Predicate


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """A signature, read and not yet checked.

    Attributes:
        fingerprint: of the key that it says it was made with.
    """

    fingerprint: str
    _payload: bytes
    _signature: bytes

    def holds(self, key: PublicKey) -> bool:
        """Whether the key's owner made it."""
        return key.fingerprint == self.fingerprint and key.holds(self._signature, _signed_bytes(self._payload))

    def files(self) -> Mapping[str, str]:
        """SHA-256 of every file that is signed, by path; of worth only if the signature holds.

        Raises:
            CardError: what is signed is no list of a card's files.
        """
        try:
            resources = _Statement.model_validate_json(self._payload).predicate.resources
        except ValidationError:
            raise CardError("what is signed is not what a card is signed for: sign it with `medground card`") from None
        return {resource.name: resource.digest for resource in resources}


def read_signature(content: bytes) -> SignatureFile:
    """Read `card.sig`.

    Args:
        content: of the file.

    Raises:
        CardError: a byte of it is not as model-signing writes it.
    """
    try:
        bundle = _Bundle.model_validate_json(content)
    except ValidationError:
        raise CardError("it is no signature of a card, or damaged") from None
    if bundle.model_dump_json().encode() != content:
        raise CardError("it is not in the form that signatures are written in")
    envelope = bundle.dsseEnvelope
    return SignatureFile(
        fingerprint=bundle.verificationMaterial.publicKey.hint,
        _payload=base64.b64decode(envelope.payload),
        _signature=base64.b64decode(envelope.signatures[0].sig),
    )


def _signed_bytes(payload: bytes) -> bytes:
    """The pre-authentication encoding of DSSE."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)
