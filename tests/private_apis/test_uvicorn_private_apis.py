"""What this project uses of uvicorn beyond its documented interface."""

import asyncio
import inspect
import signal
from itertools import islice
from types import SimpleNamespace

import pytest


def test_uvicorns_protocol_calls_what_is_extended_and_has_what_is_called():
    httptools = pytest.importorskip("uvicorn.protocols.http.httptools_impl")
    import uvicorn
    from uvicorn.protocols.http.flow_control import FlowControl

    seen = []

    class Flow(FlowControl):
        def resume_reading(self):
            super().resume_reading()
            seen.append("resume_reading")

    class Protocol(httptools.HttpToolsProtocol):
        def connection_made(self, transport):
            super().connection_made(transport)
            seen.append("connection_made")
            assert type(self.flow) is FlowControl
            self.flow = Flow(transport)

        def on_message_begin(self):
            super().on_message_begin()
            seen.append("on_message_begin")

        def on_header(self, name, value):
            super().on_header(name, value)
            seen.append("on_header")

        def on_headers_complete(self):
            super().on_headers_complete()
            seen.append("on_headers_complete")

        def data_received(self, data):
            super().data_received(data)
            seen.append("data_received")
            before = (self.cycle.response_started, self.cycle.response_complete, self.cycle.more_body)
            assert before == (False, False, False)  # the request has no body, and its task runs later
            assert (self.cycle.keep_alive, self.cycle.disconnected, self.timeout_keep_alive) == (True, False, 1)
            assert isinstance(self.cycle.message_event, asyncio.Event)
            assert len(self.pipeline) == 0
            assert (self.url, self.headers) == (b"/", [(b"host", b"x")])
            assert not self.parser.should_upgrade()
            assert self.timeout_keep_alive_task is None
            assert not self._unset_keepalive_if_required()
            assert all(isinstance(each, bytes) for pair in self.server_state.default_headers for each in pair)

        def timeout_keep_alive_handler(self):
            assert self.timeout_keep_alive_task is not None
            super().timeout_keep_alive_handler()
            seen.append("timeout_keep_alive_handler")

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def exchanged():
        config = uvicorn.Config(app, http=Protocol, port=0, lifespan="off", timeout_keep_alive=1, log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        assert signal.getsignal(signal.SIGTERM) == server.handle_exit
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        await reader.read()
        writer.close()
        server.should_exit = True
        await serving

    asyncio.run(exchanged())
    assert list(islice(seen, 7)) == [
        "connection_made",
        "on_message_begin",
        "on_header",
        "on_headers_complete",
        "data_received",
        "resume_reading",  # the response is complete
        "timeout_keep_alive_handler",
    ]


def test_uvicorns_proxy_headers_know_who_is_trusted():
    proxies = pytest.importorskip("uvicorn.middleware.proxy_headers")
    trusted = proxies.ProxyHeadersMiddleware(None, "10.0.0.0/8").trusted_hosts
    assert [host in trusted for host in ("10.1.2.3", "11.1.2.3", None)] == [True, False, False]
    assert None in proxies.ProxyHeadersMiddleware(None, "*").trusted_hosts


def test_uvicorns_supervisor_takes_a_config_and_sockets():
    supervisors = pytest.importorskip("uvicorn.supervisors")
    assert list(inspect.signature(supervisors.Multiprocess.__init__).parameters)[:3] == ["self", "config", "sockets"]
    assert all(
        callable(vars(supervisors.Multiprocess)[name]) for name in ("run", "keep_subprocess_alive", "terminate_all")
    )
    config = SimpleNamespace(workers=0)
    handlers = {number: signal.getsignal(number) for number in supervisors.multiprocess.SIGNALS}
    try:
        supervisor = supervisors.Multiprocess(config, [None])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert (supervisor.processes, supervisor.sockets) == ([], [None])
    assert "self.parent_conn, self.child_conn = Pipe()" in inspect.getsource(supervisors.multiprocess.Process)
