"""The tokenizer and its edits, on texts nobody would write by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.sandbox.redshift.refusals import Refused
from datalake_assets.sandbox.redshift.tokens import Edit, Kind, apply_edits, parse_one, split_statements, tokenize
from datalake_assets.sandbox.redshift.translate import redacted, translate

_ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=30)
_TRAPS = st.sampled_from(
    [
        "distkey", "sortkey(a)", "encode zstd", "getdate()", "sysdate", "nvl(a, b)", "#temp", "dateadd(day, 1, x)", ";",
        "--", "/*", "*/", "$$", "qualify", "varchar(max)", "super",
    ]
)  # fmt: skip
_INSIDE = st.lists(st.one_of(_ANY_TEXT, _TRAPS), max_size=5).map(" ".join)


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _dollar(text: str) -> str:
    return f"$body${text.replace('$', '')}$body$"


def _block(text: str) -> str:
    return f"/* {text.replace('*/', '').replace('/*', '').replace('*', '')} */"


def _line(text: str) -> str:
    return f"-- {''.join(character for character in text if character not in chr(10) + chr(13))}\n"


def _quoted(text: str) -> str:
    return '"' + ("x" + text.replace('"', '""'))[:20].replace('"', "") + '"'


_OPAQUE = st.one_of(*(_INSIDE.map(wrap) for wrap in (_string, _dollar, _block, _line, _quoted)))


@given(source=st.text(max_size=80))
@settings(max_examples=300)
def test_tokens_joined_are_the_text_again(source):
    try:
        tokens = tokenize(source)
    except Refused:
        return  # a quote or comment without its end
    assert "".join(token.text for token in tokens) == source


@given(pieces=st.lists(_OPAQUE, min_size=1, max_size=6))
@settings(max_examples=300)
def test_literals_comments_dollar_quotes_and_quoted_identifiers_come_out_unchanged(pieces):
    source = "select " + ", ".join(pieces) + "\n, getdate()"
    (translated,) = translate(source)
    for piece in pieces:
        assert piece in translated.sql


@given(pieces=st.lists(_OPAQUE, min_size=1, max_size=4))
@settings(max_examples=200)
def test_ddl_attributes_are_found_between_opaque_pieces_only(pieces):
    comments = [piece for piece in pieces if piece.startswith(("/*", "--"))]
    source = "create table t (a int encode az64, b varchar(max) default 'encode zstd distkey') " + "\n".join(comments)
    (translated,) = translate(source + "\n distkey(a) sortkey(a, b)")
    assert "default 'encode zstd distkey'" in translated.sql
    for piece in comments:
        assert piece in translated.sql
    words = parse_one(translated.sql).words
    assert not words & {"distkey", "sortkey", "encode", "max"}


@pytest.mark.parametrize("source", ["select 'open", 'select "open', "select /* /* */", "select $x$ open $y$"])
def test_a_text_without_its_end_is_refused_as_a_syntax_error(source):
    with pytest.raises(Refused) as caught:
        tokenize(source)
    assert caught.value.sqlstate == "42601"


def test_backslashes_escape_a_quote_unless_the_session_says_otherwise():
    assert [token.kind for token in tokenize(r"'it\'s'")] == [Kind.STRING]
    assert [token.kind for token in tokenize(r"'it\'", backslash_escapes=False)] == [Kind.STRING]


def test_statements_are_split_at_semicolons_outside_of_everything_else():
    source = "select ';'; /* ; */ select $$;$$ -- ;\n; select \";\""
    assert [statement.source.strip() for statement in split_statements(source)] == [
        "select ';'",
        "/* ; */ select $$;$$ -- ;",
        'select ";"',
    ]


def test_two_edits_of_the_same_text_are_a_mistake_of_the_rules():
    with pytest.raises(ValueError, match="two rewriting rules"):
        apply_edits("abcdef", [Edit(0, 3, "x"), Edit(2, 4, "y")])


def test_secrets_do_not_reach_the_log():
    source = (
        "copy t from 's3://b/k' credentials 'aws_access_key_id=AKIA;aws_secret_access_key=hush' parquet; "
        "copy t from 's3://b/k' access_key_id 'AKIA' secret_access_key as 'hush' parquet; "
        "create user u password 'hush'; alter user u with encrypted password 'hush'"
    )
    assert "hush" not in redacted(source)
    assert "AKIA" not in redacted(source)
    assert "s3://b/k" in redacted(source)
