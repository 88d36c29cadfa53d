"""From the value of an `Authorization` header to who asks."""

from __future__ import annotations

from medground.schema.errors import NotAuthenticatedError
from medground.serving.access.oidc import Oidc
from medground.serving.access.refusal import Reason, refused
from medground.serving.access.scope import Principal
from medground.serving.access.token_format import PREFIX
from medground.serving.access.tokens import Tokens


class Authenticator:
    """Tells who asks; blocks for as long as the database or the issuer takes, so an event loop asks it in a thread.

    Args:
        tokens: of the service.
        oidc: an issuer of identities; None if there is none.
    """

    def __init__(self, tokens: Tokens, oidc: Oidc | None) -> None:
        self._tokens, self._oidc = tokens, oidc

    def authenticate(self, header: str | None) -> Principal:
        """Who asks.

        Args:
            header: value of `Authorization`; None if there was none.

        Raises:
            NotAuthenticatedError: there are no credentials, or none that count.
            AccessUnavailableError: they cannot be checked now.
        """
        if header is None or not header.strip():
            raise NotAuthenticatedError(
                "no credentials were sent; send the header `Authorization: Bearer TOKEN`", reason=Reason.MISSING
            )
        scheme, _, rest = header.strip().partition(" ")
        credentials = rest.strip()
        if scheme.lower() != "bearer" or not credentials:  # RFC 9110, section 11.1: schemes have no case
            raise refused(Reason.MALFORMED)
        if credentials.startswith(PREFIX):
            return self._tokens.authenticate(credentials)
        if self._oidc is None:
            raise refused(Reason.NOT_CONFIGURED)
        return self._oidc.authenticate(credentials)
