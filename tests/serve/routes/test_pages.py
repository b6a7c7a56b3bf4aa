"""The list of all endpoints, the pages and their policy; `test_page.py` has the pages in a browser."""

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


async def test_a_browser_asks_each_time_whether_its_copy_of_the_page_is_right(service):
    async with service() as client:
        for path in ("/ui/", "/ui/script.js"):
            first = await client.get(path)
            again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (first.status_code, again.status_code) == (200, 304)
            assert (first.headers["cache-control"], again.headers["cache-control"]) == ("no-cache", "no-cache")


async def test_every_address_in_a_page_is_relative(service):
    async with service() as client:
        for path in ("/ui/", "/docs", "/redoc"):
            addresses = re.findall(r"""(?:href|src|url|spec-url)(?:=|: )["']([^"']+)""", (await client.get(path)).text)
            assert len(addresses) >= 3
            assert [address for address in addresses if re.match(r"\w+:|/", address)] == []


@pytest.mark.parametrize(("overrides", "root"), [((), ""), (("root_path=/gan", "jobs_dir=null"), "/gan")])
async def test_every_endpoint_has_its_path_and_its_first_sentence(service, overrides, root):
    async with service(*overrides) as client:
        found = (await client.get("/")).json()
        paths = (await client.get("/openapi.json")).json()["paths"]
    endpoints = {f"{method.upper()} {root}{path}" for path, methods in paths.items() for method in methods}
    assert found["endpoints"].keys() == endpoints | {f"GET {root}/{page}" for page in ("docs", "redoc", "ui/")}
    assert (f"POST {root}/v1/jobs" in endpoints) is (not overrides)
    reload = found["endpoints"][f"POST {root}/v1/models/{{name}}/reload"]
    assert reload == "Reads the model's file again. The old model stays in use until the new one is loaded."
    assert found["endpoints"][f"GET {root}/docs"] == "Interactive documentation of these endpoints."
    assert not any("\n" in sentence for sentence in found["endpoints"].values())
    assert found["name"] == "MNIST GAN"
