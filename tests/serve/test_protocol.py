"""Connections: late or large headers, errors of the parser, upgrades, and clients that hold a connection."""

import time
from functools import partial

import pytest
from received import response

from gan.serve import middleware, protocol


def test_a_slow_request_gets_408(connect):
    body = connect(b"POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    headers = connect(b"GET /livez HTTP/1.1\r\n")
    for _ in range(7):
        body.sendall(b" ")
        headers.sendall(b"a")
        time.sleep(0.1)
    assert response(body) == (408, "application/json", {"detail": "The body did not arrive within 1 seconds."}, True)
    detail = "The headers did not arrive within 1 seconds."
    assert response(headers) == (408, "application/json", {"detail": detail}, True)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_idle_connection_is_closed_without_a_word(connect, sent):
    idle = connect(sent)
    if sent.strip():
        assert response(idle)[0] == 200
        idle.sendall(b"\r\n")  # allowed between requests
    assert idle.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"what is this\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /v1/generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + b"X-Long: 1\r\n" * 6000, 431),
        (b"GET /livez HTTP/1.1\r\nX-Long: ", 431),
        (b"GET /livez HTTP/1.1\r\n" + b"X-Long: 1\r\n" * 9000 + b"\r\n", 431),  # all of them at once
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 70_000), 431),
    ],
)
def test_an_error_of_the_parser_is_json_and_reaches_a_client_that_still_writes(connect, sent, status):
    connection = connect(sent)
    connection.sendall(b"a" * 5_000_000)
    answer = response(connection)
    assert (answer[0], answer[1], answer[3]) == (status, "application/json", True)
    assert isinstance(answer[2]["detail"], str)
    assert connection.recv(1) == b""


def test_many_requests_may_arrive_at_once(connect):
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
    connection = connect(200 * (head + b"X-Padding: %s\r\n\r\n" % (b"a" * 1000)) + head + b"Connection: close\r\n\r\n")
    received = b"".join(iter(partial(connection.recv, 65536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"HTTP/1.1") == 201


def test_many_requests_may_come_one_after_the_other(connect):
    connection = connect()
    for _ in range(100):
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Padding: %s\r\n\r\n" % (b"a" * 1000))
        assert response(connection)[0] == 200


def test_zeros_before_a_length_do_not_count(connect):
    head = b"POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    assert response(connect(head + b"0" * 5000 + b"2\r\nConnection: close\r\n\r\n{}"))[0] == 200


def test_headers_after_a_body_do_not_count(connect):
    head = b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n"
    connection = connect(head + b"X-Request-ID: late\r\n\r\n")
    received = b"".join(iter(partial(connection.recv, 65536), b""))
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"x-request-id: late" not in received


@pytest.mark.parametrize("endless", [b"0\r\nX-Long: ", b"0\r\n" + 90_000 * b"X: 1\r\n", b"2;x="])
def test_headers_after_a_body_and_extensions_of_its_chunks_are_bounded(connect, endless):
    head = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = connect(head + 700 * b"1\r\n \r\n" + endless)  # pieces as small as these are a body's own
    connection.sendall(b"a" * 5_000_000)
    assert response(connection) == (431, "application/json", {"detail": protocol.TOO_LARGE_HEADERS}, True)


def test_a_client_that_does_not_read_cannot_send_without_end(connect):
    connection = connect()
    connection.settimeout(1)
    requests = 250 * (b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nX-Padding: %s\r\n\r\n" % (b"a" * 1000))

    def write():
        for _ in range(100):
            connection.sendall(requests)

    with pytest.raises(TimeoutError):
        write()


def test_who_reads_late_gets_json(connect):
    body = b'{"num_images": 1024}'
    head = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    connection = connect(20 * (head % len(body) + body) + last)
    time.sleep(2)
    with connection.makefile("rb") as answers:
        types = [line for line in answers if line.startswith(b"content-type")]
    assert set(types) == {b"content-type: application/json\r\n"}


@pytest.mark.parametrize("together", [True, False])
def test_an_offer_to_upgrade_is_passed_over_and_the_body_read(connect, together):
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    head = b"POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + upgrade
    for body in (
        b'Content-Length: 9\r\n\r\n{"sed":1}',
        b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"sed":1}\r\n0\r\n\r\n',
    ):
        connection = connect()
        for _ in range(2):
            for sent in [head + body] if together else [head, body]:
                connection.sendall(sent)
                time.sleep(0.02)
            status, _, answer, closed = response(connection)
            assert (status, closed) == (422, False)
            assert "sed: Extra inputs are not permitted" in answer["detail"]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("connection_header", ["close, Upgrade", "Upgrade\r\nConnection: close"])
def test_an_offer_to_upgrade_a_connection_that_is_to_be_closed_gets_an_answer(connect, version, connection_header):
    head = f"POST /v1/generate HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\nUpgrade: h2c\r\n"
    sent = f'{head}Connection: {connection_header}\r\nContent-Length: 9\r\n\r\n{{"sed":1}}'
    status, _, answer, closed = response(connect(sent.encode()))
    assert (status, closed) == (422, True)
    assert "sed: Extra inputs are not permitted" in answer["detail"]


@pytest.mark.parametrize(
    ("fault", "later"),
    [
        (b"what is this\r\n\r\n", []),
        (b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", [408]),
    ],
)
def test_an_error_of_the_parser_does_not_take_the_place_of_an_earlier_response(connect, monkeypatch, fault, later):
    monkeypatch.setattr(middleware, "LINGER_IDLE_SECONDS", 0.2)
    body = b'{"num_images": 200}'
    head = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    connection = connect(head % len(body) + body + fault)
    assert [response(connection)[0] for _ in (200, *later)] == [200, *later]  # what follows a broken chunk is not read
    assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "head",
    [b"what is this\r\n\r\n", b"POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n"],
    ids=["parser", "service"],
)
@pytest.mark.parametrize("bound", ["LINGER_BYTES", "LINGER_SECONDS"])
def test_a_client_that_never_reads_is_cut_off(connect, monkeypatch, head, bound):
    for module in (middleware, protocol):
        monkeypatch.setattr(module, bound, 1_000_000 if bound == "LINGER_BYTES" else 0.2)
    connection = connect(head)

    def write():
        for _ in range(10_000):
            connection.sendall(b" " * (100_000 if bound == "LINGER_BYTES" else 1))
            time.sleep(0.001)

    with pytest.raises(ConnectionError):
        write()
