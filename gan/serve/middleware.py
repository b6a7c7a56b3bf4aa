"""Around every request: its id, log line and metrics, and the limits on its body, its duration and concurrency."""

import asyncio
import json
import logging
import re
import time
import uuid
from contextlib import suppress

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gan.serve.prometheus import observe_request
from gan.serve.routes import probes
from gan.serve.settings import Settings

access_log = logging.getLogger("gan.access")
log = logging.getLogger("gan.serve")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_CLOSED_REQUEST = 499  # nginx's status for a request without a response
MAX_LOGGED = 256
# How much is discarded of what a client still sends after a refusal. The times are those of nginx.
LINGER_BYTES = 2**28
LINGER_SECONDS = 30.0
LINGER_IDLE_SECONDS = 5.0


def error_response(status: int, detail: str, **headers: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


class Requests:
    """Gives each request an id (the client's own if it is valid), limits and counts it, and logs it as JSON."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.active_requests = 0  # except probes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, path = time.perf_counter(), scope["path"].removeprefix(scope.get("root_path", ""))
        counts = path not in probes.PATHS
        client_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
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
            await self._respond(scope, _Body(scope, receive), send_with_id, counts)
        except Exception:  # any error of a route is logged with the id that the client gets
            log.exception("request %s", request_id)
            if status != CLIENT_CLOSED_REQUEST:  # the response has begun: the server must cut the connection
                raise
            detail = f"Internal error; the log has more under request {request_id}."
            await error_response(500, detail)(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", None)  # a label with few values, whatever the clients send
            label = route or ("/ui" if path.startswith("/ui/") else "none")
            observe_request(scope["method"], label, status, seconds)
            if counts:
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

    async def _respond(self, scope: Scope, body: "_Body", send: Send, counts: bool) -> None:
        if counts and self.active_requests >= self.settings.max_requests:
            await body.refuse(send, 503, "Too many concurrent requests; try again soon.", **{"Retry-After": "1"})
            return
        seconds, most = self.settings.request_timeout, self.settings.max_body_bytes
        limit, sending = asyncio.timeout(seconds), False
        refusal: tuple[int, str] | None = None

        async def send_and_note(message: Message) -> None:
            nonlocal sending
            if message.get("more_body"):  # each piece of a download has the whole time
                limit.reschedule(asyncio.get_running_loop().time() + seconds)
            await send(message)
            sending = True

        self.active_requests += counts
        try:
            async with limit:
                if await body.read(most):
                    await self.app(scope, body.replay, send_and_note)
                elif not body.disconnected:
                    refusal = 413, f"The body is larger than {most} bytes."
        except TimeoutError:
            if not limit.expired():
                raise
            if body.unread:
                refusal = 408, f"The body did not arrive within {seconds:g} seconds."
            elif not sending:
                refusal = 504, f"The request took more than {seconds:g} seconds."
            # else the client does not read the response: the server cuts the connection
        finally:
            self.active_requests -= counts
        if refusal is not None:
            await body.refuse(send, *refusal)


class _Body:
    """The body of a request: all of it is read within the limits, and then handed on to the application."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.receive = receive
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"").lstrip(b"0")  # digits alone; int() refuses thousands of zeros
        self.announced = int(length or b"0")
        self.unread = self.announced > 0 or b"transfer-encoding" in headers
        self.disconnected = False
        self.content: bytes | None = None

    async def read(self, most: int) -> bool:
        """Whether the whole body, of up to `most` bytes, is read now."""
        content, more = bytearray(), self.announced <= most
        while more:
            message = await self._next()
            content += message.get("body", b"")
            more = self.unread and len(content) <= most
        self.content = bytes(content)
        return not self.disconnected and max(self.announced, len(content)) <= most

    async def replay(self) -> Message:
        """The body in one message, then whatever follows it."""
        if self.content is None:
            return await self.receive()
        content, self.content = self.content, None
        return {"type": "http.request", "body": content, "more_body": False}

    async def refuse(self, send: Send, status: int, detail: str, **headers: str) -> None:
        """Sends an error, and ends it after what the client still sends: closing at once could lose the error."""
        closing = {"Connection": "close"} if self.unread else {}
        response = error_response(status, detail, **headers, **closing)
        await send({"type": "http.response.start", "status": status, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": bytes(response.body), "more_body": self.unread})
        if not self.unread:
            return
        discarded = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self.unread and discarded <= LINGER_BYTES:
                    async with asyncio.timeout(LINGER_IDLE_SECONDS):
                        discarded += len((await self._next()).get("body", b""))
        await send({"type": "http.response.body"})

    async def _next(self) -> Message:
        message = await self.receive()
        self.unread, self.disconnected = message.get("more_body", False), message["type"] == "http.disconnect"
        return message
