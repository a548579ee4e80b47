"""Paths, URLs and statements as templates."""

import pytest

from guard.redaction import path, sql
from guard.redaction.ways import CHARACTERS_MAX, MASK, way
from tests.guard.personal import PERSONAL

# Of these nothing may be left; around others, such as a password, are words that may stay.
WITHOUT_WORDS = ("email", "ip", "mac", "card", "iban", "ssn", "phone", "uuid", "number", "location")

PATHS = {
    "/users/12345/x": "/users/[ID]/x",
    "/users/7": "/users/[ID]",
    "/cart/{id}/items/:item": "/cart/{id}/items/:item",
    "/users/<int:id>/*": "/users/<int:id>/*",
    "/v1/oauth2/sha256/utf-8/v2.1": "/v1/oauth2/sha256/utf-8/v2.1",
    "/a/3f9a0c11-d2e4-4bd1-9b0a-0123456789ab/b": "/a/[UUID]/b",
    "/commits/deadbeef01": "/commits/[ID]",
    "/objects/507f1f77bcf86cd799439011": "/objects/[ID]",
    "/order-1234/item-99": "/order-[ID]/item-99",
    "/files/report-2024.pdf": "/files/report-[ID].pdf",
    "/2024/01/15/news": "/[ID]/[ID]/[ID]/news",
    "/blog/how-to-cook-rice-in-10-minutes": "/blog/how-to-cook-rice-in-10-minutes",
    "/search?q=ana": "/search",
    "/search?": "/search",
    "/page#ana": "/page",
    "?q=ana": "",
    "/x;jsessionid=ABC/y": "/x/y",
    "/a/{3f9a0c11-d2e4-4bd1-9b0a-0123456789ab}/{ana@example.org}": "/a/{[UUID]}/{[EMAIL]}",
    "/@ana/posts": "/@[USER]/posts",
    "/~ana": "/~[USER]",
    "/a/ana%40example.org/b": "/a/[EMAIL]/b",
    "/a/ana%252540example.org": "/a/[EMAIL]",
    "/a/%2B49%20170%201234567": "/a/[PHONE]",
    "/a/192.0.2.7/2001:db8::1": "/a/[IP]/[IP]",
    "/reset/a8Fk39xYz2LmQ0pRt7vB1nC4": "/reset/[TOKEN]",
    "https://ana:secret@shop.example:8443/a/7?x=1#y": "https://shop.example:8443/a/[ID]",
    "http://192.0.2.7:80/x": "http://[IP]:80/x",
    "//cdn.example/x/99": "//cdn.example/x/[ID]",
    "GET /users/7?x=1 HTTP/1.1": "GET /users/[ID] HTTP/1.1",
    "^api/(?P<pk>[^/.]+)/$": "^api/(?P<pk>[^/.]+)/$",
    "/a//b/": "/a//b/",
    "/": "/",
    "/a%2Fb/../c": "/a b/../c",
    "/" + "a" * 61: "/[ID]",
    "/" + "/".join("abcdefghijklmnopqrstuvwxyz"): "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/…",
}

STATEMENTS = {
    "SELECT * FROM users WHERE email = 'ana@example.org' AND id IN (1, 2,3) -- ana": (
        "SELECT * FROM users WHERE email = ? AND id IN (?)"
    ),
    "INSERT INTO t (a, b) VALUES ('x', 1), ('it''s', -2.5e3);": "INSERT INTO t (a, b) VALUES (?)",
    "UPDATE t SET a=-1, b = 0xFF, c=NULL\n  WHERE d=$1 AND e=:name AND f=%s AND g=%(x)s AND h=@p": (
        "UPDATE t SET a=?, b = ?, c=NULL WHERE d=? AND e=? AND f=? AND g=? AND h=?"
    ),
    "select E'\\'ana', $$ana$$, $x$ ana $$ $x$, N'ana' from t /* ana */ limit 10": "select ?, ?, ?, ? from t limit ?",
    "SELECT * FROM t WHERE name = 'ana smi": "SELECT * FROM t WHERE name = ?",
    "SELECT * FROM t WHERE name = $$ana smi": "SELECT * FROM t WHERE name = ?",
    "SELECT 1 /* ana": "SELECT ?",
    'SELECT "u"."id" FROM "u" WHERE "u"."name" = "ana"': 'SELECT "u"."id" FROM "u" WHERE "u"."name" = ?',
    'UPDATE "u" SET "name" = "ana smith", "x" = 1': 'UPDATE "u" SET "name" = ?, "x" = ?',
    "SELECT `name` FROM `u2` WHERE `id` = 5 # ana": "SELECT `name` FROM `u2` WHERE `id` = ?",
    "SELECT a::text, t1.c2 FROM t1 WHERE x BETWEEN '2024-01-01' AND 3": (
        "SELECT a::text, t1.c2 FROM t1 WHERE x BETWEEN ? AND ?"
    ),
    "SELECT data #>> '{a}' FROM t": "SELECT data #>> ? FROM t",
    'query { user(id: 5, name: "ana") { id } }': "query { user(id: ?, name: ?) { id } }",
    'SELECT "ana@example.org" FROM t': "SELECT ? FROM t",
    "SELECT `ana@example.org` FROM t": "SELECT `[EMAIL]` FROM t",
    "-- ana\nSELECT 1": "SELECT ?",
}


@pytest.mark.parametrize(("text", "expected"), PATHS.items())
def test_a_path_becomes_its_template(text: str, expected: str) -> None:
    seen: list[str] = []
    assert path.template(text, seen.append) == expected
    assert bool(seen) == (expected != text and text not in ("/search?", "/a%2Fb/../c") and "…" not in expected)


@pytest.mark.parametrize(("text", "expected"), STATEMENTS.items())
def test_a_statement_loses_its_literals(text: str, expected: str) -> None:
    assert sql.is_statement(text)
    seen: list[str] = []
    assert sql.template(text, seen.append) == expected
    assert seen


def test_a_long_statement_is_cut() -> None:
    assert len(sql.template("SELECT " + "a, " * 1000, print)) == sql.CHARACTERS_MAX


@pytest.mark.parametrize("value", [value for values in PERSONAL.values() for value in values if "/" not in value])
def test_what_is_personal_is_in_no_template(value: str) -> None:
    for text in (f"/a/{value}/b", f"/a?x={value}", f"https://shop.example/{value}", f"GET /a/{value} HTTP/1.1"):
        assert value not in path.template(text, str)
    quoted = value.replace("'", "''")
    assert quoted not in sql.template(f"SELECT * FROM t WHERE a = '{quoted}' AND b = 1", str)


def test_what_a_policy_leaves() -> None:
    def left(policy: str, text: str) -> str:
        return way(policy, seen=str, key=b"k" * 16)(text)

    assert left("keep", "ana@example.org") == "ana@example.org"
    assert left("mask", "ana") == MASK
    assert left("drop", "ana") == ""
    assert left("patterns", "ana at 192.0.2.7") == "ana at [IP]"
    assert left("truncate", "192.0.2.7") == "192.0.2.0/24"
    assert left("truncate", "192.0.2.7:8080") == "192.0.2.0/24:8080"
    assert left("truncate", "2001:db8:1:2:3::4") == "2001:db8:1::/48"
    assert left("truncate", "::ffff:192.0.2.7") == "192.0.2.0/24"
    assert left("truncate", "1:2:3:4:5:6:7:8:9") == "[IP]"
    assert left("truncate", "ana@example.org") == "[EMAIL]"
    assert left("template", "/users/7") == "/users/[ID]"
    assert left("template", "SELECT 7") == "SELECT ?"
    assert left("template", "orders.show") == "orders.show"
    assert left("template", "ana@example.org") == "[EMAIL]"
    assert left("sql", "SELECT 7") == "SELECT ?"
    assert left("sql", "get_orders") == "get_orders"
    assert left("sql", "ana smith berlin") == MASK
    assert {left(policy, "") for policy in ("mask", "drop", "hash", "patterns", "template", "sql")} == {""}


def test_a_hash_follows_the_key_and_tells_nothing() -> None:
    one = way("hash", seen=str, key=b"k" * 16)
    assert one("ana") == one("ana") != one("ben")
    assert one("ana") != way("hash", seen=str, key=b"l" * 16)("ana")
    assert "ana" not in one("ana")
    assert len(one("x" * 5000)) == len(one("a")) == 13


@pytest.mark.parametrize("value", [value for name in WITHOUT_WORDS for value in PERSONAL[name]])
@pytest.mark.parametrize("policy", ["patterns", "template"])
def test_no_half_of_anything_stands_where_a_text_is_cut(policy: str, value: str) -> None:
    """Whatever part of it is within the bounds, and whether or not the rest of it was read."""
    hide = way(policy, seen=str, key=b"")
    parts = {value[start : start + 4] for start in range(len(value) - 3)}
    parts = {part for part in parts if part not in hide(value)}
    for start in (999, 996, 1000 - len(value) // 2, 970, 1240, 1250, 1256 - len(value) // 2):
        left = hide(f"{'xy ' * 500}"[: start - 1] + " " + value + " xy" * 200)
        assert left.startswith("xy xy")
        assert len(left) <= CHARACTERS_MAX
        assert [part for part in parts if part in left] == []
