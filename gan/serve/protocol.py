"""HTTP/1.1 connections with what uvicorn has no option for: bounds on headers, and the parser's errors as JSON."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gan.serve.middleware import LINGER_BYTES, LINGER_SECONDS, error_response

MAX_HEADER_BYTES = 65536
TOO_LARGE_HEADERS = f"The headers are larger than {MAX_HEADER_BYTES} bytes."


class OneBatchAtATime(FlowControl):
    """Reads nothing while requests wait for those before them. uvicorn reads on, and a client could fill the memory."""

    def __init__(self, protocol: "LimitedProtocol") -> None:
        super().__init__(protocol.transport)
        self.protocol = protocol

    def resume_reading(self) -> None:
        if self.protocol.refused or not self.protocol.pipeline:
            super().resume_reading()


class LimitedProtocol(HttpToolsProtocol):
    """A subclass: uvicorn neither bounds the headers, nor sends JSON, nor reads the body of a refused upgrade."""

    _bytes: int | None = None  # while headers arrive, of these; after an error, of what was discarded
    _beside_body = 0  # after them, bytes since a piece of the body: of a chunk's extensions, or of headers after it
    _arriving = 0  # bytes that are parsed now
    refused = False
    _head = b""  # of a request that offers an upgrade, without the offer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))  # a connection's, which uvicorn's own types name
        self.flow = OneBatchAtATime(self)
        self._start_timer(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._bytes = -self._arriving  # they may be of pipelined requests before this one
        self._start_timer(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._bytes is not None:  # else one of those after a body, which nobody reads
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._beside_body = -self._arriving

    def on_chunk_header(self) -> None:  # a name of the parser's
        self._beside_body = -self._arriving

    def data_received(self, data: bytes) -> None:
        self._arriving = len(data)
        if not self.refused:
            self._parse(data)
        if self._bytes is None:
            self._beside_body += len(data)
        else:
            self._bytes += len(data)
        if self.refused and (self._bytes or 0) > LINGER_BYTES:
            self.transport.abort()
        elif not self.refused and (self._beside_body if self._bytes is None else self._bytes) > MAX_HEADER_BYTES:
            self._refuse(431, TOO_LARGE_HEADERS)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # its argument is the length of the head in `data`
            self.parser = httptools.HttpRequestParser(self)  # the old one reads nothing after `Connection: close`
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self._parse(self._head + data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.refused:
                self._refuse(400, f"The request is not valid HTTP: {error}.")

    def on_headers_complete(self) -> None:
        parser, self._head = self.parser, b""
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES:
            self._refuse(431, TOO_LARGE_HEADERS)
            raise ValueError  # ends the parser's work
        # Java's client offers an upgrade with every request (https://github.com/Kludex/uvicorn/issues/2722).
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            lines = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
            first = b"%s %s HTTP/%s" % (parser.get_method(), self.url, parser.get_http_version().encode())
            self._head = b"\r\n".join([first, *lines, b"", b""])
            return
        self._bytes, self._beside_body = None, -self._arriving
        self._unset_keepalive_if_required()
        try:
            super().on_headers_complete()
        except httptools.HttpParserInvalidURLError:
            self._refuse(400, "The target of the request is not a valid path.")
            raise

    def on_message_complete(self) -> None:
        if not self._head:
            super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        if self._bytes is None or self.transport.is_closing():  # an idle connection
            super().timeout_keep_alive_handler()
        else:
            self._refuse(408, f"The headers did not arrive within {self.timeout_keep_alive} seconds.")

    def _refuse(self, status: int, detail: str) -> None:
        """Sends an error, then discards what the client still sends: closing at once could lose the error."""
        self.refused, self._bytes = True, 0
        self._start_timer(LINGER_SECONDS, self.transport.abort)
        self.flow.resume_reading()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or cycle.response_started or not cycle.more_body:  # those before the fault get responses
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.logger.warning("%s: status %d, %s", self.client, status, detail)
        response = error_response(status, detail, Connection="close")
        headers = [*self.server_state.default_headers, *response.raw_headers]
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), *(b": ".join(each) for each in headers)]
        self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
        self.transport.write_eof()

    def _start_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, action)
