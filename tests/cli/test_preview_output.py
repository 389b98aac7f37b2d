"""Rows as CSV, JSON lines and tables: complete, quoted where needed, never wider than the terminal."""

import csv
import io
import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.cli import preview_output as out

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


class Written(out.Output):
    """Keeps what would go to the standard output."""

    def __init__(self) -> None:
        super().__init__()
        self._stream = self.kept = io.BytesIO()

    @property
    def text(self) -> str:
        return self.kept.getvalue().decode()


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1)))
def test_any_rows_come_back_from_the_csv_as_they_were(rows: list[list[str]]) -> None:
    written = Written()
    out.write_csv(rows[0], [list(rows[1:])], written)
    assert list(csv.reader(io.StringIO(written.text, newline=""))) == rows


def test_csv_has_one_line_feed_a_row_and_quotes_line_ends_of_any_kind() -> None:
    written = Written()
    out.write_csv(["a", "b"], [[["1", None], ["x\ry", "p\r\nq"], ['"', ""]]], written)
    assert written.text == 'a,b\n1,\n"x\ry","p\r\nq"\n"""",\n'


def test_a_row_of_one_empty_value_is_no_blank_line() -> None:
    written = Written()
    out.write_csv(["a"], [[[None], [""]]], written)
    assert written.text == 'a\n""\n""\n'


def test_what_is_no_character_is_replaced_and_told() -> None:
    written = Written()
    out.write_csv(["a"], [[["x\udcffy"]]], written)
    assert written.text == "a\nx\ufffdy\n"
    assert written.has_replaced


@given(st.lists(st.sampled_from(["a", "b", "a_2", ""]), max_size=8))
def test_names_of_an_object_are_unique_and_unchanged_where_they_can_be(names: list[str]) -> None:
    found = out.unique(names)
    assert len(set(found)) == len(names)
    assert all(made == name for made, name in zip(found, names, strict=True) if name and names.count(name) == 1)


def test_an_object_is_json_whatever_its_keys() -> None:
    keys = [out.json_text(name) for name in ('a"b', "ä")]
    assert json.loads(out.json_object(keys, ["1.50", out.json_text("x\ny")])) == {'a"b': 1.5, "ä": "x\ny"}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(20, 200))
def test_columns_fit_the_terminal_side_by_side(widths: list[int], available: int) -> None:
    fitted = out.fitted_widths(widths, available)
    assert sum(fitted) + 2 * (len(fitted) - 1) <= available
    assert fitted
    assert all(got <= wanted for got, wanted in zip(fitted, widths, strict=False))


def test_wide_columns_give_way_before_any_is_left_out() -> None:
    assert out.fitted_widths([60, 5, 60], 60) == [25, 5, 26]
    assert out.fitted_widths([10] * 10, 58) == [10] * 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb", "a\\nb"), ("\x1b[31mred", "\\x1b[31mred"), ("\u202eabc", "\\x202eabc"), ("ä€😀", "ä€😀"), (None, "")],
)
def test_nothing_in_a_value_commands_the_terminal(text: str | None, shown: str) -> None:
    assert out.printable(text) == shown


def test_a_piped_table_is_aligned_and_long_values_are_cut() -> None:
    written = Written()
    assert out.write_table(["id", "text"], [[["1", "x" * 100], ["200", None]]], written) == []
    lines = written.text.splitlines()
    assert lines[0].split() == ["id", "text"]
    assert lines[2] == "1    " + "x" * 59 + "…"
    assert lines[3] == "200"


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that a terminal shows, without their colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


def test_on_a_terminal_every_line_fits_and_later_rows_stand_under_the_same_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows: list[out.Cells] = [[str(n), "x" * 100, None, f"value {n}", "more"] for n in range(1000, 1600)]
    hidden = out.write_table(["id", "text", "nothing", "value", "a long name of a column"], [rows], out.Output())
    lines = shown(capsys)
    assert hidden == []
    assert len(lines) == 2 + 600
    assert max(map(len, lines)) <= 60
    assert {line.index("value") for line in lines if "value" in line} == {lines[0].index("value")}


def test_columns_for_which_a_terminal_is_too_narrow_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    names = [f"column{n}" for n in range(9)]
    hidden = out.write_table(names, [[["some text"] * 9]], out.Output())
    assert hidden == names[-len(hidden) :]
    assert max(map(len, shown(capsys))) <= 40
