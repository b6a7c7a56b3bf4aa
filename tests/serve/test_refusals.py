"""Every client gets its refusal, as JSON, whatever it still sends, and none can hold a connection for ever."""

import http.client
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from browsing import listening

from gan.config import compose
from gan.serve import middleware, protocol
from gan.serve.settings import read_settings

PATIENCE = 30
JSON = {"Content-Type": "application/json"}
TOO_LARGE = "The body is larger than 1024 bytes."


@pytest.fixture(scope="module")
def url(checkpoints):
    overrides = ["max_body_bytes=1024", "request_timeout=1", "keep_alive=1", "device=cpu"]
    with listening(read_settings(compose("serve", [*overrides, f"ckpt='{checkpoints['conditional']}'"]))) as (url, _):
        yield url


@pytest.fixture
def connect(url):
    """A function that opens a connection and sends something."""
    opened = []

    def connected(content=b""):
        address = urlsplit(url)
        opened.append(socket.create_connection((address.hostname, address.port), timeout=PATIENCE))
        opened[-1].sendall(content)
        return opened[-1]

    yield connected
    for each in opened:
        each.close()


def response(connection):
    """The status, type and error of a response, and whether the connection ends after it."""
    read = http.client.HTTPResponse(connection)
    read.begin()
    return read.status, read.getheader("content-type"), json.loads(read.read()), read.will_close


def pieces(body):
    return (body[start : start + 10_000] for start in range(0, len(body), 10_000))


def by_urllib(url, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, JSON), timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def by_http_client(url, body, chunked=False):
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
    connection.request("POST", address.path, pieces(body) if chunked else body, JSON, encode_chunked=chunked)
    answer = connection.getresponse()
    return answer.status, answer.read()


def by_requests(url, body, chunked=False):
    answer = requests.post(url, pieces(body) if chunked else body, headers=JSON, timeout=PATIENCE)
    return answer.status_code, answer.content


def by_httpx(url, body, chunked=False):
    answer = httpx.post(url, content=pieces(body) if chunked else body, headers=JSON, timeout=PATIENCE, verify=False)
    return answer.status_code, answer.content


def by_curl(*options):
    def send(url, body):
        command = ["curl", "-sS", "--data-binary", "@-", "-H", "Content-Type: application/json", *options]
        wanted = ["-w", "\n%{http_code}", "--max-time", str(PATIENCE), url]
        answer = subprocess.run([*command, *wanted], input=body, stdout=subprocess.PIPE, check=True).stdout
        content, _, status = answer.rpartition(b"\n")
        return int(status), content

    return pytest.param(send, id=" ".join(["curl", *options]), marks=[CURL, pytest.mark.process])


CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
CLIENTS = [
    by_urllib,
    by_http_client,
    by_requests,
    by_httpx,
    *(
        pytest.param(lambda url, body, send=send: send(url, body, chunked=True), id=f"{send.__name__} chunked")
        for send in (by_http_client, by_requests, by_httpx)
    ),
    by_curl(),
    by_curl("-H", "Expect:"),
    by_curl("-H", "Expect: 100-continue"),
    by_curl("--http1.0"),
    by_curl("-H", "Transfer-Encoding: chunked"),
    by_curl("--http2"),
]


@pytest.mark.parametrize("size", [2_000_000, 5_000_000])
@pytest.mark.parametrize("send", CLIENTS)
def test_a_body_that_is_too_large_gets_its_413(url, send, size):
    for _ in range(3):
        status, content = send(f"{url}/v1/generate", b" " * size)
        assert (status, json.loads(content)) == (413, {"detail": TOO_LARGE})


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/docs", "/nowhere"])
def test_so_does_one_that_no_endpoint_reads(url, path):
    assert by_http_client(f"{url}{path}", b" " * 5_000_000)[0] in (405, 413)


def test_a_refused_client_reads_its_answer_before_during_or_after_writing(connect):
    head = b"POST /v1/generate HTTP/1.%d\r\nHost: x\r\n%sContent-Length: 5000000\r\n\r\n"
    wanted = (413, "application/json", {"detail": TOO_LARGE}, True)
    assert response(connect(head % (1, b""))) == wanted
    assert response(connect(head % (1, b"Expect: 100-continue\r\n"))) == wanted
    for version in (0, 1):
        late = connect(head % (version, b""))
        for _ in range(5):
            late.sendall(b" ")
            time.sleep(0.05)
        late.sendall(b" " * (5_000_000 - 5))
        assert response(late) == wanted
        assert late.recv(1) == b""


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


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_an_idle_connection_is_closed_without_a_word(connect, sent):
    idle = connect(sent)
    if sent:
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
    ],
)
def test_an_error_of_the_parser_is_json_and_reaches_a_client_that_still_writes(connect, sent, status):
    connection = connect(sent)
    connection.sendall(b"a" * 5_000_000)
    answer = response(connection)
    assert (answer[0], answer[1], answer[3]) == (status, "application/json", True)
    assert isinstance(answer[2]["detail"], str)
    assert connection.recv(1) == b""


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


@pytest.mark.parametrize(
    ("fault", "later"),
    [
        (b"what is this\r\n\r\n", []),
        (b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", [408]),
    ],
)
def test_an_error_of_the_parser_does_not_take_the_place_of_an_earlier_response(connect, fault, later):
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
