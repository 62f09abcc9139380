"""/openapi.json and /docs, as anybody may ask for them."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag

import pytest

from recado.openapi import document
from tests.support.world import World

VOID = {"meta", "br", "link"}


class Page(HTMLParser):
    """What stands in a page: its elements, anchors and links. A tag that is not closed, or is
    closed out of turn, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        given = dict(attrs)
        self.anchors += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.text += data


def get(world: World, path: str, **headers: str) -> tuple[dict[str, str], str]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, body = world.call_raw("GET", path, login=None, headers=sent)
    assert status == 200
    return answered, body


def server(world: World, **headers: str) -> str:
    told: dict[str, Any] = json.loads(get(world, "/openapi.json", **headers)[1])
    (only,) = told["servers"]
    return str(only["url"])


def test_the_document_is_served_as_it_is_with_its_server(world: World) -> None:
    headers, body = get(world, "/openapi.json", host="sms.example.com")
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {**document(), "servers": [{"url": "http://sms.example.com"}]}


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"host": "SMS.example.com"}, "http://sms.example.com"),
        ({"host": "127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"host": "a.example", "x_forwarded_proto": "https"}, "https://a.example"),
        ({"host": "a.example", "x_forwarded_proto": "javascript"}, "http://a.example"),
        ({}, "/"),
        ({"host": ""}, "/"),
        ({"host": 'a"><script>alert(1)</script>'}, "/"),
        ({"host": "a.example/path"}, "/"),
        ({"host": "ana@a.example"}, "/"),
        ({"host": "a.example,b.example"}, "/"),
        ({"host": "a" * 300}, "/"),
    ],
)
def test_the_server_is_the_host_that_was_asked_if_it_is_one(
    world: World, headers: dict[str, str], url: str
) -> None:
    assert server(world, **headers) == url
    assert f"<code>{url}</code>" in get(world, "/docs", **headers)[1]


def test_the_page_is_whole_and_each_of_its_links_leads_somewhere(world: World) -> None:
    page = Page(get(world, "/docs", host="a.example")[1])
    assert len(page.anchors) == len(set(page.anchors))
    for link in page.links:
        target, anchor = urldefrag(link)
        assert target == "openapi.json" or (not target and anchor in page.anchors), link


def test_every_operation_callback_and_schema_has_its_place_on_the_page(world: World) -> None:
    told = document()
    page = Page(get(world, "/docs")[1])
    paths = [methods for kind in ("paths", "webhooks") for methods in told[kind].values()]
    operations = [operation for methods in paths for operation in methods.values()]
    assert {operation["operationId"] for operation in operations} <= set(page.anchors)
    assert {f"schema-{name}" for name in told["components"]["schemas"]} <= set(page.anchors)
    for wanted in (*told["paths"], *(operation["summary"] for operation in operations)):
        assert wanted in page.text


def test_the_page_has_no_script_and_takes_nothing_from_elsewhere(world: World) -> None:
    headers, body = get(world, "/docs")
    page = Page(body)
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint(page.names)
    names = {name for name, _ in page.attributes}
    assert not [name for name in names if name.startswith("on")]
    assert {"src", "style", "srcset"}.isdisjoint(names)
    style = re.search(r"<style>(.*?)</style>", body, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert headers["content-type"] == "text/html; charset=utf-8"
