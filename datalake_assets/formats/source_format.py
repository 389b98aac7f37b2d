"""How the raw files of one table are written: the words of a defs.yaml, and what `datalake crawl` finds out."""

import codecs
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Format = Literal["csv", "json", "xml", "parquet", "avro", "orc", "log"]
Compression = Literal["auto", "none", "gzip", "bzip2", "zstd", "xz", "zip"]
JsonLayout = Literal["auto", "lines", "array", "document", "concatenated"]

MAX_DELIMITER_CHARACTERS = 8
MAX_SKIPPED_LINES = 10_000
# Which words belong to which formats; a word that is not here belongs to all.
_WORDS_OF = {
    "delimiter": ("csv",),
    "quote": ("csv",),
    "escape": ("csv",),
    "header": ("csv",),
    "names": ("csv",),
    "skip_rows": ("csv",),
    "skip_footer": ("csv",),
    "short_rows": ("csv",),
    "long_rows": ("csv",),
    "tables": ("csv",),
    "layout": ("json",),
    "records": ("json",),
    "row_tag": ("xml",),
    "pattern": ("log",),
    "patterns": ("log",),
}


class SourceFormat(BaseModel):
    """How the raw files are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    format: Format = "csv"
    encoding: str = Field(default="utf-8", description="of csv, json and log; XML files say their own")
    compression: Compression = Field(
        default="auto",
        description="auto goes by the end of the key: .gz, .bz2, .zst, .xz, .zip, anything else is not compressed",
    )
    null_values: tuple[str, ...] = Field(default=("",), description="texts that mean null, compared exactly")
    delimiter: str = Field(default=",", description="csv: one character, or several as in `||` or `, `")
    quote: str = Field(default='"', description="csv: one character, or empty when values are never quoted")
    escape: str | None = Field(
        default=None, description="csv: what stands before a quote within quotes; default: the quote itself"
    )
    header: int = Field(
        default=1,
        ge=0,
        le=20,
        description="csv: rows that hold the names; those of several rows are joined by a space, 0 means no header",
    )
    names: tuple[str, ...] = Field(
        default=(), description="csv: names of the raw columns when the files have no header; default: column_1, ..."
    )
    skip_rows: int = Field(default=0, ge=0, le=MAX_SKIPPED_LINES, description="csv: lines before the header")
    skip_footer: int = Field(default=0, ge=0, le=MAX_SKIPPED_LINES, description="csv: lines after the last row of data")
    short_rows: Literal["reject", "pad"] = Field(
        default="reject", description="csv: rows with too few fields are set aside, or their last fields are null"
    )
    long_rows: Literal["reject", "rescue"] = Field(
        default="reject", description="csv: rows with too many fields are set aside, or the surplus is rescued"
    )
    tables: Literal["all", "first"] = Field(
        default="all",
        description="csv: first ends the reading where the header comes again, or the header of another table",
    )
    layout: JsonLayout = Field(
        default="auto", description="json: an object a line, one array, one document, or one object after another"
    )
    records: str | None = Field(
        default=None, description="json: path to the array of records within a document, for example `data.items`"
    )
    row_tag: str | None = Field(default=None, description="xml: the element that is a row")
    pattern: str | None = Field(
        default=None, description="log: a grok pattern, or the name of a known log such as `apache_combined`"
    )
    patterns: dict[str, str] = Field(default_factory=dict, description="log: own grok patterns, name to expression")

    @field_validator("delimiter")
    @classmethod
    def _a_delimiter(cls, value: str) -> str:
        if not 1 <= len(value) <= MAX_DELIMITER_CHARACTERS or set(value) & set("\r\n\0"):
            raise ValueError(
                f"delimiter is 1 to {MAX_DELIMITER_CHARACTERS} characters that do not end a line, found {value!r}"
            )
        return value

    @field_validator("quote", "escape")
    @classmethod
    def _one_character(cls, value: str | None, info: object) -> str | None:
        field = getattr(info, "field_name", "")
        if value is None or (value == "" and field == "quote"):
            return value
        # The parser compares bytes: a character of two bytes is none to it.
        if len(value) != 1 or not value.isascii() or value in "\r\n\0":
            raise ValueError(f"{field} is one ASCII character that does not end a line, found {value!r}")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codec = codecs.lookup(value)
            "".encode(value)  # rot13 and the like are codecs, but not of texts
        except LookupError as error:
            raise ValueError(f"encoding {value!r} is unknown; usual are utf-8, latin-1, cp1252, utf-16") from error
        return codec.name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.delimiter in (self.quote, self.escape):
            raise ValueError(f"delimiter {self.delimiter!r} cannot also be the quote or the escape")
        defaults = type(self).model_fields
        # A word at its default changes nothing: what was written out by a program is read again.
        wrong = sorted(
            word
            for word in self.model_fields_set & _WORDS_OF.keys()
            if self.format not in _WORDS_OF[word]
            and getattr(self, word) != defaults[word].get_default(call_default_factory=True)
        )
        if wrong:
            told = ", ".join(f"{word} (of {' and '.join(_WORDS_OF[word])})" for word in wrong)
            raise ValueError(f"format {self.format} takes no {told}")
        if self.names and self.header:
            raise ValueError("names are for files without a header: write `header: 0` beside them")
        if len(set(self.names)) != len(self.names):
            raise ValueError("names holds a name twice")
        if self.format == "xml" and not self.row_tag:
            raise ValueError("format xml needs row_tag: the element that is a row")
        if self.format == "log" and not self.pattern:
            raise ValueError("format log needs pattern: a grok pattern or the name of a known log")
        return self

    @property
    def is_flat(self) -> bool:
        """Whether records are rows of texts under a header, not nested objects."""
        return self.format in ("csv", "log")
