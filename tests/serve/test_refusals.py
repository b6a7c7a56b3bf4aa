"""Every client gets the refusal of its body, as JSON, whatever it still sends."""

import http.client
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from received import response

PATIENCE = 30
JSON = {"Content-Type": "application/json"}
TOO_LARGE = "The body is larger than 1024 bytes."


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
