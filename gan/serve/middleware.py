"""Around every request: its id, log line and metrics, and the limits on its body, its duration and concurrency."""

import asyncio
import json
import logging
import re
import time
import uuid
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gan.serve.prometheus import observe_request
from gan.serve.proxies import path_in_service
from gan.serve.routes import probes

access_log = logging.getLogger("gan.access")
log = logging.getLogger("gan.serve")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_CLOSED_REQUEST = 499  # nginx's status for a request without a response
MAX_LOGGED = 256
# How much is discarded of what a client still sends after its response. The times are those of nginx.
LINGER_BYTES = 2**28
LINGER_SECONDS = 30.0
LINGER_IDLE_SECONDS = 5.0


def error_response(status: int, detail: str, **headers: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


class LingeringClose:
    """Closes the connection after a response that was sent before the whole body was read, but reads the body first.

    A connection that is closed while its client still writes is reset, and many clients then lose the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        unread, held = True, False

        async def receive_and_note() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def send_but_hold_the_end(message: Message) -> None:
            nonlocal held
            if unread and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            elif unread and not message.get("more_body", False):
                held = True
                message = {**message, "more_body": True}
            await send(message)

        await self.app(scope, receive_and_note, send_but_hold_the_end)
        if held:
            await _discard(receive)
            await send({"type": "http.response.body"})


class RequestLog:
    """Gives each request an id (the client's own if it is valid), counts it, and logs it as a line of JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, path = time.perf_counter(), path_in_service(scope)
        client_id = Headers(scope=scope).get("x-request-id", "")
        request_id = client_id if REQUEST_ID.fullmatch(client_id) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["client"] = scope["client"][0] if scope.get("client") else "unknown"
        status, headers = CLIENT_CLOSED_REQUEST, MutableHeaders()

        async def send_with_id(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:  # any error of a route is logged with the id that the client gets
            log.exception("request %s", request_id)
            if status != CLIENT_CLOSED_REQUEST:  # the response has begun: the server must cut the connection
                raise
            detail = f"Internal error; the log has more under request {request_id}."
            await error_response(500, detail)(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            observe_request(scope["method"], _route_path(scope, path), status, seconds)
            if path not in probes.PATHS:
                line = {
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "request_id": request_id,
                    "method": scope["method"][:MAX_LOGGED],
                    "path": path[:MAX_LOGGED],
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                    "client": state["client"],
                    "model": headers.get("x-model"),
                    "version": headers.get("x-model-version"),
                }
                access_log.info(json.dumps(line))


class RequestLimits:
    """Limits every request but the probes. It reads the whole body before the application starts.

    Args:
        max_body_bytes: a larger body gets status 413, with or without a Content-Length.
        timeout: seconds for reading and responding together, in a download until the next piece; the status is then 408
            without the whole body, else 504.
        max_requests: concurrent requests; one more gets status 503.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, timeout: float, max_requests: int) -> None:
        self.app, self.max_body_bytes, self.timeout, self.max_requests = app, max_body_bytes, timeout, max_requests
        self.active_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_in_service(scope) in probes.PATHS:
            await self.app(scope, receive, send)
            return
        if self.active_requests >= self.max_requests:
            busy = error_response(503, "Too many concurrent requests; try again soon.", **{"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self.active_requests += 1
        try:
            await self._respond(scope, receive, send)
        finally:
            self.active_requests -= 1

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        stage = "reading"

        async def send_and_note(message: Message) -> None:
            nonlocal stage
            stage = "sending"
            if message.get("more_body"):  # each piece of a download has the whole time
                limit.reschedule(asyncio.get_running_loop().time() + self.timeout)
            await send(message)

        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                body = await self._read(scope, receive)
                if body is None:  # the client has disconnected
                    return
                stage = "processing"
                if len(body) > self.max_body_bytes:
                    detail = f"The body is larger than {self.max_body_bytes} bytes."
                    await error_response(413, detail)(scope, receive, send_and_note)
                else:
                    await self.app(scope, _replay(body, receive), send_and_note)
        except TimeoutError:
            if not limit.expired():
                raise
            if stage == "sending":  # the client does not read the response: the server cuts the connection
                return
            if stage == "reading":
                detail = f"The body did not arrive within {self.timeout:g} seconds."
                await error_response(408, detail)(scope, receive, send)
            else:
                detail = f"The request took more than {self.timeout:g} seconds."
                await error_response(504, detail)(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body, or the beginning of one that is too large; None if the client has disconnected."""
        content_length = Headers(scope=scope).get("content-length", "0")
        if content_length.isdecimal() and int(content_length[:20]) > self.max_body_bytes:
            return bytes(self.max_body_bytes + 1)
        body, more = bytearray(), True
        while more and len(body) <= self.max_body_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)


def _has_body(scope: Scope) -> bool:
    headers = scope["headers"]
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


async def _discard(receive: Receive) -> None:
    """Reads the rest of a body, or as much of it as the bounds allow."""
    discarded = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while discarded <= LINGER_BYTES:
                async with asyncio.timeout(LINGER_IDLE_SECONDS):
                    message = await receive()
                discarded += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hands the application the body that was read already, then whatever follows it."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replayed() -> Message:
        return next(messages, None) or await receive()

    return replayed


def _route_path(scope: Scope, path: str) -> str:
    """The route's path, such as /v1/models/{name}/reload: a label with few values, whatever the clients send."""
    return getattr(scope.get("route"), "path", None) or ("/ui" if path.startswith("/ui/") else "none")
