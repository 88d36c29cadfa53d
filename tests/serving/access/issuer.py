"""An OpenID Connect issuer on a loopback port: discovery, keys, and tokens signed without the library under test."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipelines.ports import keeper

DISCOVERY = "/realm/.well-known/openid-configuration"
KEYS = "/realm/keys"
Write = Callable[[bytes], object]


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def written(header: dict[str, Any], claims: object, sign: Callable[[bytes], bytes]) -> str:
    """A token in the compact serialization (RFC 7515, section 7.1), whatever is in it."""
    body = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{body}.{base64url(sign(body.encode()))}"


class RsaKey:
    """An RSA key pair."""

    def __init__(self, key_id: str, bits: int = 2048) -> None:
        self.key_id = key_id
        self.private = rsa.generate_private_key(65537, bits)

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def public(self) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        n, e = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.n, numbers.e))
        return {"kty": "RSA", "kid": self.key_id, "use": "sig", "n": base64url(n), "e": base64url(e)}

    def sign(self, content: bytes) -> bytes:
        return self.private.sign(content, padding.PKCS1v15(), SHA256())

    def sign_pss(self, content: bytes) -> bytes:
        return self.private.sign(content, padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size), SHA256())


class EcKey:
    """A key pair on P-256."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public(self) -> dict[str, Any]:
        numbers = self.private.public_key().public_numbers()
        x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "kid": self.key_id, "crv": "P-256", "x": x, "y": y}

    def sign(self, content: bytes) -> bytes:
        return b"".join(
            n.to_bytes(32, "big") for n in decode_dss_signature(self.private.sign(content, ec.ECDSA(SHA256())))
        )


class EdKey:
    """A key pair on Ed25519."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.private = ed25519.Ed25519PrivateKey.generate()

    def public(self) -> dict[str, Any]:
        x = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"kty": "OKP", "kid": self.key_id, "crv": "Ed25519", "x": base64url(x)}

    def sign(self, content: bytes) -> bytes:
        return self.private.sign(content)


class Issuer:
    """The issuer; it can be stopped and started again on the same port.

    Attributes:
        keys: what the list of keys holds.
        discovered: entries of the discovery document in place of the usual ones.
        answers: by path, what writes the body of the answer in place of the usual one.
        headers: further ones of each answer.
        status: of each answer.
        asked: how often each path was asked for.
    """

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.discovered: dict[str, Any] = {}
        self.answers: dict[str, Callable[[Write], None]] = {}
        self.headers: dict[str, str] = {}
        self.status = 200
        self.asked: Counter[str] = Counter()
        self._keeping = keeper()
        self._port = int(self._keeping.getsockname()[1])
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/realm"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._keeping.close()

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def body(self, path: str) -> Callable[[Write], None]:
        document: dict[str, Any] = {"keys": self.keys}
        if path == DISCOVERY:
            document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovered}
        content = json.dumps(document).encode()
        return self.answers.get(path, lambda write: write(content) and None)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked[self.path] += 1
                self.send_response(issuer.status)
                for name, value in issuer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    issuer.body(self.path)(self.wfile.write)
                except OSError:  # whoever asked has gone
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
