"""The pages and their policy; `test_page.py` has them in a browser."""

import re

import pytest

pytestmark = pytest.mark.anyio


async def test_without_the_page_the_documentation_is_still_there(service):
    async with service("ui=false") as client:
        assert [(await client.get(path)).status_code for path in ("/ui", "/ui/", "/docs")] == [404, 404, 200]
        assert "GET /ui/" not in (await client.get("/")).json()["endpoints"]


async def test_the_policy_of_each_page_allows_nothing_from_elsewhere(service):
    async with service() as client:
        for path in ("/ui/", "/ui/script.js", "/docs", "/redoc", "/assets/swagger-ui-bundle.js"):
            response = await client.get(path)
            assert (response.status_code, (await client.head(path)).status_code) == (200, 200)
            directives = dict(each.split(" ", 1) for each in response.headers["content-security-policy"].split("; "))
            assert directives["default-src"] == "'none'"
            sources = {source for value in directives.values() for source in value.split()}
            sources = {source for source in sources if not source.startswith("'sha256-")}
            assert sources <= {"'none'", "'self'", "'unsafe-inline'", "data:", "blob:"}
            assert "unsafe-inline" not in directives["script-src"]


async def test_every_address_in_a_page_is_relative(service):
    async with service() as client:
        for path in ("/ui/", "/docs", "/redoc"):
            addresses = re.findall(r"""(?:href|src|url|spec-url)(?:=|: )["']([^"']+)""", (await client.get(path)).text)
            assert len(addresses) >= 3
            assert [address for address in addresses if re.match(r"\w+:|/", address)] == []
