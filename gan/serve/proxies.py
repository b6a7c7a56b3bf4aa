"""What a trusted proxy says of a request: its client's address, its scheme, and the path it is served under."""

import re
from typing import TYPE_CHECKING

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gan.serve.settings import ROOT_PATH

if TYPE_CHECKING:
    from uvicorn import _types as asgi

MAPPED = re.compile(rb"(?<![^\s,\[])::ffff:(?=[0-9]+\.)", re.IGNORECASE)  # IPv4 as a part of IPv6's


class ProxyHeaders(ProxyHeadersMiddleware):
    """uvicorn's middleware for X-Forwarded-For and X-Forwarded-Proto, with X-Forwarded-Prefix added."""

    def __init__(self, app: "asgi.ASGI3Application", trusted: str, root_path: str | None) -> None:
        super().__init__(app, trusted)
        self.root_path = (root_path or "").rstrip("/")

    async def __call__(
        self, scope: "asgi.Scope", receive: "asgi.ASGIReceiveCallable", send: "asgi.ASGISendCallable"
    ) -> None:
        app = self.app
        if scope["type"] == "http":
            prefix, client = self.root_path, scope.get("client")
            if client:  # host=:: has IPv4 addresses as parts of IPv6's
                client = scope["client"] = (MAPPED.sub(b"", client[0].encode()).decode(), client[1])
            if any(name.startswith(b"x-forwarded-") for name, _ in scope["headers"]):
                app = super().__call__
                scope["headers"] = [(name, _as_uvicorn_reads(name, value)) for name, value in scope["headers"]]
                if (client[0] if client else None) in self.trusted_hosts:
                    prefix = _forwarded_prefix(scope) or prefix
            if prefix:  # as ASGI has it, the path begins with the root path, whether or not the proxy removed it
                scope["root_path"] = prefix
                if not f"{scope['path']}/".startswith(f"{prefix}/"):
                    scope["path"] = prefix + scope["path"]
        await app(scope, receive, send)


def _as_uvicorn_reads(name: bytes, value: bytes) -> bytes:
    """A header of a proxy: IPv4 addresses in their own form, and of the schemes of several proxies the client's."""
    if name == b"x-forwarded-for":
        return MAPPED.sub(b"", value)
    return value.partition(b",")[0].strip() if name == b"x-forwarded-proto" else value


def _forwarded_prefix(scope: "asgi.HTTPScope") -> str | None:
    """The prefixes that proxies in a row have removed, joined; None if there are none or they are not paths."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
    prefix = "".join(part.strip().rstrip("/") for value in values for part in value.split(","))
    return prefix if values and re.fullmatch(ROOT_PATH, prefix) else None
