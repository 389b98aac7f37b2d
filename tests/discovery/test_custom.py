"""Own classifiers are read from YAML or a text, asked first, and as certain as the records that match."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.discovery.classifiers.classify import classify
from datalake_assets.discovery.classifiers.custom import CustomClassifier, classifier_from_text, read_classifiers
from datalake_assets.errors import ConfigurationError
from datalake_assets.formats.grok_patterns import PATTERNS
from datalake_assets.formats.known_logs import KNOWN_LOGS
from tests.discovery.samples import sample

DOCS = Path(__file__).parents[2] / "docs" / "classifiers.md"
EXAMPLES = {
    "orders_log": "2026-01-02T03:04:05Z [de-17] ORD000123 total=12.50 paid by card\n"
    "2026-01-02T03:05:00Z [fr-2] ORD000124 total=3 -\n",
    "sensor_lines": "S1=20.5@1767225600\nS22=-3@1767225660\n",
    "api_pages": '{"response": {"page": 1, "items": [{"id": 1}, {"id": 2}]}}',
    "old_export": "1;'Müller; Sohn';2,50\n2;'Meyer';1,00\n",
    "catalogue": "<shop><info/><info/><list><product id='1'/><product id='2'/></list></shop>",
}


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CustomClassifier]:
    """The example of the documentation, as somebody would copy it."""
    found = re.search(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    path = tmp_path_factory.mktemp("docs") / "classifiers.yaml"
    path.write_text(found[1], encoding="utf-8")
    return {one.name: one for one in read_classifiers(path)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_example_recognises_its_files(name: str, documented: dict[str, CustomClassifier]) -> None:
    content = EXAMPLES[name].encode("cp1252" if name == "old_export" else "utf-8")
    found = classify(sample(content), tuple(documented.values()))
    assert (found.classifier, found.certainty) == (name, 1.0), found
    assert found.source is not None
    assert found.source.format == documented[name].source.format
    if name == "old_export":
        assert found.source.encoding == "cp1252"


def test_the_documentation_names_what_there_is() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in KNOWN_LOGS if f"`{name}`" not in text] == []
    listed = set(re.findall(r"\b[A-Z][A-Z0-9_]{1,}\b", text.split("## Grok")[1].split("## What")[0]))
    helpers = {"BASE10NUM", "MULTILINEDATA", "QUOTEDTEXT", "MONTHNUM2", "HTTPREQUEST"}
    assert set(PATTERNS) - listed == helpers
    assert listed - set(PATTERNS) <= {"NAME"}


def own(text: str) -> CustomClassifier:
    return classifier_from_text(text)


def test_a_certain_one_wins_at_once_and_the_first_of_them() -> None:
    first, second = own(r"%{INT:id},%{WORD:name}"), own(r"regex:(?<a>\d+),(?<b>\w+)")
    found = classify(sample("1,a\n2,b\n3,c\n"), (first, second))
    assert (found.classifier, found.certainty, found.tried) == ("own grok", 1.0, ())
    assert classify(sample("1,a\n2,b\n3,c\n"), (second, first)).classifier == "own regex"


def test_the_highest_certainty_of_all_wins_when_none_is_certain() -> None:
    half, most = own(r"regex:[0-4](?<a>\W+\w+)"), own(r"grok:%{INT:id}\W+%{WORD:name}")
    lines = "".join(f"{n}{'#/-+~?!=|'[n]}{'{<(' * (n % 3)}x{n}\n" for n in range(9)) + "#end\n"
    found = classify(sample(lines), (half, most))
    assert (found.classifier, found.certainty) == ("own grok", 0.9)
    assert ("own regex", 0.5) in [(name, certainty) for name, certainty, _ in found.tried]
    assert "does not match the pattern" in found.reason


def test_a_built_in_one_wins_over_an_own_one_that_hardly_matches() -> None:
    found = classify(sample('{"a": 1}\n' * 20 + "x=1\n"), (own(r"regex:x=(?<x>\d)"),))
    assert found.classifier == "json"


def test_types_and_own_patterns_stay_with_the_source() -> None:
    one = own("%{INT:id:int} %{GREEDYDATA:text}")
    found = classify(sample("1 a b\n2 c\n".encode("utf-16")), (one,))
    assert found.source is not None
    assert (found.source.format, found.source.pattern) == ("log", "%{INT:id:int} %{GREEDYDATA:text}")
    assert found.source.encoding == "utf-16"


def test_a_sample_that_ends_within_a_record_still_matches_all() -> None:
    pairs = [
        (r"%{INT:id},%{WORD:name}", "1234,abcdef\n" * 300),
        ("json:$.items", '{"items": [' + ", ".join(['{"id": 1}'] * 500) + "]}"),
        ("xml:row", "<d>" + "<row><a>1</a></row>" * 300 + "</d>"),
        ("csv:delimiter=;", "a;b\n" + "1;2\n" * 800),
    ]
    for text, content in pairs:
        assert classify(sample(content, head_bytes=1_501), (own(text),)).certainty == 1.0, text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("log4j", {"format": "log", "pattern": "log4j"}),
        ("json:$", {"format": "json"}),
        ("json:$[*]", {"format": "json"}),
        ("json:data.rows", {"format": "json", "layout": "document", "records": "data.rows"}),
        ("xml:dc:row", {"format": "xml", "row_tag": "dc:row"}),
        ("csv:delimiter=;,quote='", {"format": "csv", "delimiter": ";", "quote": "'"}),
        ("csv:delimiter=,", {"format": "csv", "delimiter": ","}),
        ("csv:delimiter=,,header=2", {"format": "csv", "delimiter": ",", "header": 2}),
        ("csv:delimiter=tab,quote=none,header=0,names=a|b",
         {"format": "csv", "delimiter": "\t", "quote": "", "header": 0, "names": ("a", "b")}),
        ("{csv: {delimiter: '||'}, encoding: utf-16}", {"format": "csv", "delimiter": "||", "encoding": "utf-16"}),
        (r"regex:(?<a>\d+):(?<b>\d+)", {"format": "log", "pattern": r"(?<a>\d+):(?<b>\d+)"}),
    ],
)  # fmt: skip
def test_classifiers_of_the_command_line(text: str, words: dict[str, Any]) -> None:
    source = classifier_from_text(text).source
    assert {name: getattr(source, name) for name in words} == words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("log4jj", r"'log4jj' is no classifier; expected .*log4j"),
        ("%{NOPE:x}", r"grok pattern 'NOPE' is unknown"),
        (r"regex:(\d+", r"no regular expression"),
        (r"regex:\d+", r"captures nothing"),
        ("csv:delimitr=;", r"csv takes no 'delimitr=;'"),
        ("csv:delimiter=123456789", r"delimiter is 1 to 8 characters"),
        ("csv:header=x", r"header"),
        ("json:$..items", r"more than the names of members"),
        ("json:$.items[?(@.a>1)]", r"more than the names of members"),
        ("xml:", r"expected a text"),
        ("{csv: [}", r"is no YAML"),
        ("log:nope", r"log 'nope' is not known"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        classifier_from_text(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", r"holds something else; expected one list"),
        ("classifiers: {a: 1}", r"holds something else"),
        ("classifiers: [", r"is no YAML"),
        ("classifiers:\n  - name: a\n", r":2: classifier 'a' does not say what it matches"),
        ("classifiers:\n  - name: a\n    xml: x\n    json: $\n", r":2: classifier 'a' says json and xml"),
        ("classifiers:\n  - {name: a, xml: r}\n  - {name: a, xml: r}\n", r":3: two classifiers are called 'a'"),
        ("classifiers:\n  - {name: a, gork: x}\n", r":2: a classifier has no word 'gork'; expected grok"),
        ("classifiers:\n  - {xml: x}\n", r":2: a classifier has no name"),
        ("classifiers:\n  - {name: a, xml: x, patterns: {A: b}}\n", r"patterns, which are for grok"),
        ("classifiers:\n  - {name: a, grok: '%{IPP:x}'}\n", r":2: classifier 'a': grok pattern 'IPP' is unknown"),
        ("classifiers:\n  - {name: a, csv: {row_tag: x}}\n", r"format csv takes no row_tag"),
        ("classifiers:\n  - {name: a, csv: ';'}\n", r"csv is ';'"),
        ("classifiers:\n  - word\n", r":2: 'word' is no classifier"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "classifiers.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=told):
        read_classifiers(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_classifiers(tmp_path / "none.yaml")


def test_nothing_matches_what_is_something_else() -> None:
    everything = [own(text) for text in ("%{INT:id} %{WORD:w}", "json:$.x", "xml:row", "csv:delimiter=;", "alb")]
    for content in (b"", bytes(100), "prose without anything in it", '{"y": 1}', "<a><b/></a>", "a,b\n1,2\n"):
        found = classify(sample(content), everything)
        assert found.classifier not in [one.name for one in everything]
