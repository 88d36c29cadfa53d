"""`/pixels/{study}/{instance}/{frame}`: a frame of the service for the browser of who is signed in."""

from __future__ import annotations

import re

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.schema.errors import AccessError
from medground.viewer.renewal import SignInEndedError
from medground.viewer.sessions import COOKIE, Sessions

_STUDY = re.compile(r"[0-9a-f]{24}")
_ENDED = {"detail": "not signed in, or the session has ended: sign in again"}


def pixel_url(study: str, instance: int, frame: int) -> str:
    """Where the browser gets a frame.

    Args:
        study: key.
        instance: id, as the listing of the series gives it.
        frame: counted from 1.
    """
    return f"/pixels/{study}/{instance}/{frame}"


def pixel_route(sessions: Sessions) -> Route:
    """The route; it fetches with the credentials of the session, so that the service says what may be seen."""

    async def pixels(request: Request) -> Response:
        secret = request.cookies.get(COOKIE)
        session = sessions.get(secret, is_sign_of_life=False)  # loading ahead is no sign of life
        if session is None:
            return JSONResponse(_ENDED, 401)
        study, instance, frame = (request.path_params[name] for name in ("study", "instance", "frame"))
        if not _STUDY.fullmatch(study):
            return JSONResponse({"detail": "there is no such study"}, 404)
        try:
            reading, values = await anyio.to_thread.run_sync(session.client.frame, study, instance, frame)
        except ServiceUnreachableError:
            return JSONResponse({"detail": "the service does not answer; try again in a moment"}, 503)
        except SignInEndedError:
            return JSONResponse(_ENDED, 401)
        except AccessError as error:  # of an issuer that does not answer
            return JSONResponse({"detail": str(error)}, 503)
        except ServiceError as error:
            return JSONResponse({"detail": str(error)}, error.status if error.status >= 400 else 502)
        except RuntimeError:  # of a client that was closed
            if sessions.get(secret, is_sign_of_life=False) is not None:
                raise
            return JSONResponse(_ENDED, 401)
        headers = {"X-Frame": reading.model_dump_json(), "Cache-Control": "private, no-store"}
        return Response(values, media_type="application/octet-stream", headers=headers)

    return Route("/pixels/{study}/{instance:int}/{frame:int}", pixels, methods=["GET"])
