"""Around every request: its id, its line in the log and its count; the bounds of its body and its time."""

import asyncio
import json
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gan.serve.prometheus import observe_request
from gan.serve.routes.operation import PROBES

access = logging.getLogger("gan.access")
log = logging.getLogger("gan.serve")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_GONE = 499  # nginx's name for a request without an answer
MAX_LOGGED = 256


def problem(status: int, detail: str, **headers: str) -> JSONResponse:
    """An answer with a sentence that says what went wrong."""
    return JSONResponse({"detail": detail}, status, headers)


class Observe:
    """Gives each request an id, the client's own if it is one, counts it, and writes a line of JSON about it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["client"] = scope["client"][0] if scope.get("client") else "unknown"
        status, answered = CLIENT_GONE, MutableHeaders()

        async def marked(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered["X-Request-ID"] = request_id
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, marked)
        except Exception:  # whatever a route raises is logged under the id that the client is told
            log.exception("request %s", request_id)
            if status != CLIENT_GONE:  # half an answer must not look like a whole one: the server cuts the connection
                raise
            await problem(500, f"Something went wrong; the log says more under {request_id}.")(scope, receive, marked)
        finally:
            seconds = time.perf_counter() - started
            path = scope["path"]
            observe_request(scope["method"], _template(scope), status, seconds)
            if path not in PROBES:
                line = {
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "request_id": request_id,
                    "method": scope["method"][:MAX_LOGGED],
                    "path": path[:MAX_LOGGED],
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                    "client": state["client"],
                    "model": answered.get("x-model"),
                    "version": answered.get("x-model-version"),
                }
                access.info(json.dumps(line))


class Bounds:
    """Reads a request's body, up to a size, and gives reading and answering together a time.

    Args:
        max_body_bytes: a larger one is answered 413, also where no Content-Length announced it.
        timeout: seconds; after it the answer is 408 if the body is not there yet, else 504.
        max_requests: at work at once; one beyond, unless it is a probe, is answered 503.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, timeout: float, max_requests: int) -> None:
        self.app, self.max_body_bytes, self.timeout, self.max_requests = app, max_body_bytes, timeout, max_requests
        self.at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        if self.at_work >= self.max_requests:
            busy = problem(503, "Too many requests are at work; try again soon.", **{"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self.at_work += 1
        try:
            await self._within_bounds(scope, receive, send)
        finally:
            self.at_work -= 1

    async def _within_bounds(self, scope: Scope, receive: Receive, send: Send) -> None:
        stage = "reading"

        async def noted(message: Message) -> None:
            nonlocal stage
            stage = "sending"
            await send(message)

        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                body = await self._read(scope, receive)
                if body is None:  # the client has gone
                    return
                stage = "answering"
                if len(body) > self.max_body_bytes:
                    detail = f"The body is larger than {self.max_body_bytes} bytes."
                    await problem(413, detail, Connection="close")(scope, receive, noted)
                else:
                    await self.app(scope, _replay(body, receive), noted)
        except TimeoutError:
            if not limit.expired():
                raise
            if stage == "sending":  # to a client that does not read: the server cuts the connection
                return
            if stage == "reading":
                detail = f"The body did not arrive within {self.timeout:g} seconds."
                await problem(408, detail, Connection="close")(scope, receive, send)
            else:
                await problem(504, f"The answer took more than {self.timeout:g} seconds.")(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body, or a part of it that is too large already; None if the client went away."""
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > self.max_body_bytes:
            return bytes(self.max_body_bytes + 1)
        body, more = bytearray(), True
        while more and len(body) <= self.max_body_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _template(scope: Scope) -> str:
    """The route of a request, such as /v1/models/{name}/reload: there are few, whatever clients ask for."""
    return getattr(scope.get("route"), "path", None) or ("/ui" if scope["path"].startswith("/ui/") else "none")
