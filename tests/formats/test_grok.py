"""Grok patterns compile to expressions with named, typed columns, and say what is wrong with them."""

import pytest

from datalake_assets.errors import ConfigurationError
from datalake_assets.formats.grok import compile_grok
from datalake_assets.formats.grok_patterns import PATTERNS


def test_captures_become_columns_with_types() -> None:
    grok = compile_grok(r"%{IP:client} %{WORD:method} %{NUMBER:bytes:int} %{NUMBER:duration:float}")
    assert grok.names == ("client", "method", "bytes", "duration")
    assert grok.types == {"bytes": "int", "duration": "double"}
    assert grok.values("55.3.244.1 GET 15824 0.043") == ("55.3.244.1", "GET", "15824", "0.043")
    assert grok.values("nothing of the kind") is None
    assert grok.values("55.3.244.1 GET 15824 0.043 more") is None


def test_own_patterns_nest_and_come_before_the_built_in_ones() -> None:
    own = {"ORDER": r"%{PREFIX}-%{INT:number:long}", "PREFIX": "[A-Z]{2}", "WORD": "[xyz]+"}
    grok = compile_grok("%{ORDER:order} %{WORD:letters}", own)
    assert grok.names == ("order", "number", "letters")
    assert grok.types == {"number": "bigint"}
    assert grok.values("AB-17 xyz") == ("AB-17", "17", "xyz")
    assert grok.values("AB-17 abc") is None


def test_two_captures_of_one_name_are_one_column() -> None:
    grok = compile_grok(r"(?:%{INT:id}|none:(?<id>\w+)) %{GREEDYDATA:rest}")
    assert grok.names == ("id", "rest")
    assert grok.values("7 x") == ("7", "x")
    assert grok.values("none:abc x y") == ("abc", "x y")
    assert grok.open_end == 1


def test_names_in_brackets_are_paths() -> None:
    assert compile_grok("%{IP:[source][ip]} %{IP:destination.ip}").names == ("source.ip", "destination.ip")


def test_posix_classes_and_groups_without_a_name_are_understood() -> None:
    grok = compile_grok(r"([[:alpha:]]+)=(?P<value>[[:digit:]]+)(?!x)")
    assert grok.values("abc=12") == ("12",)


@pytest.mark.parametrize(
    ("pattern", "own", "told"),
    [
        ("%{IPP:client}", {}, r"grok pattern 'IPP' is unknown; expected one of IP"),
        ("%{INT:x:money}", {}, r"column 'x' has the unknown type 'money'"),
        ("%{INT:x", {}, r"captures nothing"),
        ("(unclosed %{INT:x}", {}, r"is no regular expression: .*unterminated subpattern"),
        ("%{INT}", {}, r"captures nothing; expected at least one named capture"),
        ("%{A:x}", {"A": "%{B}", "B": "%{A}"}, r"contain each other: A -> B -> A"),
        ("%{A:x}", {"A": "%{B}{1000}" * 40, "B": "%{C}" * 99, "C": "abc" * 99}, r"too long once expanded"),
    ],
)
def test_a_mistake_is_told(pattern: str, own: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        compile_grok(pattern, own, where="classifiers.yaml: orders")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("IPV4", ["192.168.0.1", "255.255.255.255"], ["256.1.1.1", "1.2.3", "1.2.3.4.5x"]),
        ("IPV6", ["::1",
         "2001:db8::ff00:42:8329", "fe80::1%eth0", "1:2:3:4:5:6:7:8", "::ffff:10.0.0.1", "::"],
         ["12:34", "hello", ":"]),
        ("IPORHOST", ["10.0.0.1", "example.com", "web-1"], ["-x", "a b"]),
        ("NUMBER", ["1", "-1.5", ".5", "1e-9", "+7"], ["", ".", "1,5", "e9"]),
        ("UUID", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
        ("TIMESTAMP_ISO8601", ["2026-11-21T18:54:36.123Z", "2026-11-21 18:54", "2026-11-21T18:54:36+01:00",
                               "2026-11-21 18:54:36,123"], ["21.11.2026", "2026-13-01 00:00"]),
        ("HTTPDATE", ["10/Oct/2000:13:55:36 -0700"], ["10/10/2000:13:55:36 -0700"]),
        ("SYSLOGTIMESTAMP", ["Jul  1 09:00:55", "Nov 21 18:00:00"], ["2026 Jul 1"]),
        ("QUOTEDSTRING", ['"a \\" b"', "'x'", '""'], ['"open', "plain"]),
        ("URI", ["https://user:pw@example.com:8443/a/b?c=d&e", "ftp://host"], ["example.com/a"]),
        ("EMAILADDRESS", ["a.b+c@example.co.uk"], ["@example.com", "a@"]),
        ("MAC", ["00:1A:2b:3c:4d:5e", "001a.2b3c.4d5e"], ["00:1A"]),
        ("LOGLEVEL", ["INFO", "warn", "Warning", "SEVERE"], ["HELLO", "INF"]),
        ("PATH", ["/var/log/x.log", "C:\\logs\\x.log"], ["relative/x"]),
    ],
)  # fmt: skip
def test_built_in_patterns_match_what_they_are_called(name: str, good: list[str], bad: list[str]) -> None:
    grok = compile_grok(f"%{{{name}:it}}")
    assert [text for text in good if grok.values(text) is None] == []
    assert [text for text in bad if grok.values(text) is not None] == []


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_no_built_in_pattern_needs_more_than_its_line(name: str) -> None:
    # Each of these takes minutes where repeats within repeats can share out the same characters.
    grok = compile_grok(f"%{{{name}:it}} end")
    for piece in ("a", "1", "a.", "1:", "a-", "/a", '"', "\\", "[", " ", "1.1.", "%a", "a@", "://", "é"):
        assert grok.values(piece * (2_000 // len(piece)) + "!") is None
