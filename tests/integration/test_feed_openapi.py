# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a program is written by docs/openapi.json alone.

Question: is each answer what the document says: its status, its type, every
member there and none besides? Is the document one?

Expected: yes. Each operation is asked here; one that is not fails. (That the
document has each route, and no other, is tests/unit/test_openapi.c.)
"""

import json
import re

import jsonschema
import pytest

from cli_support import REPO

DOC = json.loads((REPO / "docs" / "openapi.json").read_text())

ASKED = {
    "/api/v1/health": [""],
    "/api/v1/openapi.json": [""],
    "/metrics": [""],
    "/api/v1/devices": ["", "?limit=1", "?sort=wire_bytes_in", "?status=retired",
                        "?connected=true&order=desc"],
    "/api/v1/devices/{id}": ["meter-1", "idle", "gone"],
    "/api/v1/classes": [""],
    "/api/v1/classes/{name}": ["meter", "strict"],
    "/api/v1/devices/{id}/usage": ["meter-1", "meter-1?by=minute", "idle"],
    "/api/v1/classes/{name}/usage": ["meter", "meter?by=hour&since=2h"],
    "/api/v1/usage/top": ["", "?since=1h&limit=2", "?sort=refused&class=meter"],
    "/api/v1/events": ["", "?limit=1", "?type=refusal&reason=no_rule",
                       "?order=asc&device=meter-1&since=1h&until=2099-01-01T00:"
                       "00:00Z"],
    "/api/v1/export/usage": ["", "?by=day"],
    "/api/v1/export/events": ["", "?type=connect"],
    "/api/v1/findings": ["", "?state=all&kind=traffic&class=meter&device=x"],
    "/api/v1/quarantines": ["", "?limit=1"],
    "/api/v1/actions": ["", "?limit=1"],
}
"""How each path is asked: what stands for what is in braces, and its query."""

POSTED = {
    "/api/v1/devices/{id}/quarantine": [
        (200, "idle", {"reason": "odd", "for_s": 60}), (200, "idle", {}),
        (400, "idle", {"x": 1}), (404, "nobody", {}), (409, "gone", {}),
        (415, "idle", None)],
    "/api/v1/devices/{id}/release": [
        (200, "idle", {}), (200, "idle", {}), (400, "idle", {"x": 1}),
        (404, "nobody", {}), (409, "held", {}), (415, "idle", None)],
}
"""The status of what is posted: as the path has it, with which body; None: one
of another type."""

WRONG = {
    "/api/v1/devices": [(400, "?limit=0"), (400, "?x=1"),
                        (400, "?cursor=nonsense")],
    "/api/v1/devices/{id}": [(404, "nobody"), (400, "idle?x=1")],
    "/api/v1/classes/{name}": [(404, "nobody")],
    "/api/v1/devices/{id}/usage": [(404, "nobody"), (400, "idle?by=week")],
    "/api/v1/classes/{name}/usage": [(404, "nobody"), (400, "meter?since=x")],
    "/api/v1/usage/top": [(400, "?limit=0"), (400, "?since=1h&sort=id")],
    "/api/v1/events": [(400, "?cursor=x"), (400, "?type=message")],
    "/api/v1/export/usage": [(400, "?cursor=x"), (400, "?by=week")],
    "/api/v1/export/events": [(400, "?cursor=x"), (400, "?limit=1")],
    "/api/v1/findings": [(400, "?state=new"), (400, "?kind=noise"),
                         (400, "?class=a/b"), (400, "?device=a%20b")],
    "/api/v1/quarantines": [(400, "?limit=0")],
    "/api/v1/actions": [(400, "?cursor=x")],
    "/api/v1/tail": [(426, ""), (400, "?x=1"), (400, "?counters=1")],
}
"""The same, with the status that it must get."""


def plain(node):
    """A schema of OpenAPI 3.0 as one of JSON Schema."""
    if isinstance(node, list):
        return [plain(x) for x in node]
    if not isinstance(node, dict):
        return node
    out = {k: plain(v) for k, v in node.items() if k != "nullable"}
    if node.get("nullable"):
        out["type"] = [out["type"], "null"]
        if "enum" in out:
            out["enum"] = out["enum"] + [None]
    return out


PLAIN = plain(DOC)


def resolved(node):
    while "$ref" in node:
        at = DOC
        for part in node["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        node = at
    return node


def check(schema, value):
    jsonschema.Draft4Validator(
        dict(plain(schema), components=PLAIN["components"])).validate(value)


OPERATIONS = [(path, method) for path, methods in DOC["paths"].items()
              for method in methods]


# ----------------------------------------------------------------- the document


def refs(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for x in node.values():
            yield from refs(x)
    elif isinstance(node, list):
        for x in node:
            yield from refs(x)


def test_references():
    """Each leads somewhere, and all that may be referred to is."""
    there = set(refs(DOC))
    for ref in there:
        assert resolved({"$ref": ref})
    for kind in ("schemas", "parameters", "responses"):
        for name in DOC["components"][kind]:
            assert f"#/components/{kind}/{name}" in there, name


def test_schemas():
    for name, schema in PLAIN["components"]["schemas"].items():
        jsonschema.Draft4Validator.check_schema(schema)
        # An answer with a member that the document does not have must fail.
        if schema.get("type") in ("object", ["object", "null"]):
            assert "additionalProperties" in schema, name


@pytest.mark.parametrize("path, method", OPERATIONS)
def test_operation(path, method):
    op = DOC["paths"][path][method]
    assert op["summary"] and not op["summary"].endswith(".")
    assert op["tags"] and re.fullmatch("[a-zA-Z]+", op["operationId"])
    given = [resolved(p) for p in op.get("parameters", [])]
    assert {p["name"] for p in given if p["in"] == "path"} == set(
        re.findall(r"\{(\w+)\}", path))
    for p in given:
        assert p["description"] and p["schema"]["type"]
        assert p.get("required", False) == (p["in"] == "path")
    assert any(c.startswith(("1", "2")) for c in op["responses"])
    for status, response in op["responses"].items():
        r = resolved(response)
        assert r["description"]
        if status >= "4":
            assert "application/problem+json" in r["content"]


def test_operations_have_names_of_their_own():
    ids = [DOC["paths"][p][m]["operationId"] for p, m in OPERATIONS]
    assert len(ids) == len(set(ids))


def examples(node):
    if isinstance(node, dict):
        if "example" in node and "schema" in node:
            yield node
        for x in node.values():
            yield from examples(x)
    elif isinstance(node, list):
        for x in node:
            yield from examples(x)


def test_examples():
    """Each is what its schema says."""
    found = list(examples(DOC))
    assert len(found) > 5
    for x in found:
        check(x["schema"], x["example"])


# ------------------------------------------------------------------ the answers


@pytest.fixture(scope="module")
def asked(fleet, broker, feed):
    """A feed of a fleet that has done a little of everything."""
    import clients
    d = fleet.device("meter", "--iccid", "8944500102198304826", "--attr", "a=b",
                     id="meter-1")
    fleet.device("strict", cert=None, id="idle")
    fleet.device("meter", cert=None, id="gone")
    fleet.weir("device", "remove", "gone", "--yes")
    w = clients.Wire(broker, d).admitted()
    w.publish("m/meter-1/up", b"x" * 10, qos=1)
    w.publish("m/other", b"x", qos=1)
    w.ping()
    yield feed
    w.close()


def urls(path, table):
    for x in table.get(path, []):
        status, x = x if isinstance(x, tuple) else (None, x)
        word, _, query = x.partition("?")
        yield status, re.sub(r"\{\w+\}", word, path) + (
            "?" + query if query else "")


def check_answer(op, got):
    response = resolved(op["responses"][str(got.status)])
    kind = got.headers["Content-Type"].partition(";")[0]
    schema = response["content"][kind]["schema"]
    if kind == "application/x-ndjson":
        for line in got.lines():
            check(schema, line)
    elif kind.endswith("json"):
        check(schema, got.json())


def test_all_is_asked():
    """But the WebSocket, which has tests of its own."""
    gets = {p for p, m in OPERATIONS if m == "get"
            and "200" in DOC["paths"][p][m]["responses"]}
    assert gets == set(ASKED)
    assert gets | set(POSTED) | {"/api/v1/tail"} == {p for p, _ in OPERATIONS}


@pytest.mark.parametrize("path", ASKED)
def test_answers(asked, path):
    for _, url in urls(path, ASKED):
        got = asked.get(url)
        assert got.status == 200, (url, got.text[:300])
        check_answer(DOC["paths"][path]["get"], got)


@pytest.mark.parametrize("path", WRONG)
def test_failures(asked, path):
    for status, url in urls(path, WRONG):
        got = asked.get(url)
        assert got.status == status, (url, got.text[:300])
        check_answer(DOC["paths"][path]["get"], got)


@pytest.fixture(scope="module")
def act(fleet, asked):
    fleet.device("strict", cert=None, id="held")
    fleet.weir("quarantine", "held")
    return fleet.weir("token", "add", "openapi", "--rights", "act").strip()


@pytest.mark.parametrize("path", POSTED)
def test_actions(asked, act, path):
    op = DOC["paths"][path]["post"]
    for status, word, body in POSTED[path]:
        url = re.sub(r"\{\w+\}", word, path)
        got = (asked.post(url, body, token=act) if body is not None else
               asked.ask("POST", url, b"x=1", act, Content_Type="text/plain"))
        assert got.status == status, (url, got.text[:300])
        check_answer(op, got)
        if status == 200:
            check_answer(DOC["paths"]["/api/v1/quarantines"]["get"],
                         asked.get("/api/v1/quarantines"))
    got = asked.post(url, {})
    assert got.status == 403
    check_answer(op, got)


def test_it_is_served(asked):
    assert asked.ok("/api/v1/openapi.json") == DOC
