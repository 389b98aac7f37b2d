"""What keys tell: partitions, patterns, and what is no data."""

import pytest

from datalake_assets.discovery.layout import ignored_kind, template_of


@pytest.mark.parametrize(
    ("key", "folders", "name", "values"),
    [
        ("flights/dt=2026-11-20/c=DE/part-00017.csv.gz", "flights dt= c=", "part-*.csv.gz", ("2026-11-20", "DE")),
        ("clicks/2026/11/20/13/x.json", "clicks %Y %m %d %H", "x.json", ("2026-11-20", "13")),
        ("clicks/2026/11/x.json", "clicks %Y %m", "x.json", ("2026", "11")),
        ("posts/20261120/posts.json", "posts %Y%m%d", "posts.json", ("2026-11-20",)),
        ("posts/2026-11-20/posts.json", "posts %Y-%m-%d", "posts.json", ("2026-11-20",)),
        ("exports/flights_2026-11-20.csv", "exports", "flights_{%Y-%m-%d}.csv", ("2026-11-20",)),
        ("exports/20261120-flights-17.csv", "exports", "{%Y%m%d}-flights-*.csv", ("2026-11-20",)),
        ("v2/2026/13/45/x.csv", "v2 2026 13 45", "x.csv", ()),
        ("a/2026/02/30/x.csv", "a 2026 02 30", "x.csv", ()),
        ("t/part-00000-3f2504e0-4f89-11d3-9a0c-0305e82c3301.c000.snappy.parquet", "t", "part-*.c*.snappy.parquet", ()),
        ("top.csv", "", "top.csv", ()),
    ],
)  # fmt: skip
def test_values_within_keys_are_told_from_names(key: str, folders: str, name: str, values: tuple[str, ...]) -> None:
    template, found = template_of(key)
    shown = " ".join(part.text + ("=" if part.kind == "hive" else "") for part in template.folders)
    assert (shown, found) == (folders, values)
    assert template.name.replace("c000", "c*") == name


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a/_SUCCESS", "marker"),
        ("a/.x.csv.crc", "marker"),
        ("a_$folder$", "folder"),
        ("a/", "folder"),
        ("a/manifest.json", "manifest"),
        ("a/_temporary/0/part-0", "hidden folder"),
        ("a/x.csv.tmp", "unfinished"),
        ("a/shipping_manifest.csv", None),
        ("a/x.csv", None),
    ],
)
def test_markers_and_hidden_files_are_no_data(key: str, kind: str | None) -> None:
    assert ignored_kind(key) == kind
