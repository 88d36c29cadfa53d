"""TLS of DICOM connections: version 1.2 or newer, with the ciphers that Python holds for secure (PS3.15 annex B)."""

from __future__ import annotations

import ssl

from medground.schema.errors import UsageError
from medground.serving.dicom_receiver.config import ClientTls, ServerTls


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """What the receiver answers with.

    Raises:
        UsageError: a file of it cannot be used.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as cause:
        raise UsageError(_unusable(cause)) from cause
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """What is asked of a system that is called.

    Raises:
        UsageError: a file of it cannot be used.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except (OSError, ValueError) as cause:
        raise UsageError(_unusable(cause)) from cause
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase, which nobody is there to type")


def _unusable(cause: Exception) -> str:
    return f"the TLS files cannot be used ({cause}); check that they are PEM, readable, and belong together"
