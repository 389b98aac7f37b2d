"""The beginning of an object as classifiers want it: decompressed and decoded, or why there is nothing to see."""

import codecs
import math
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from datalake_assets.discovery.classifiers.sample import Sample
from datalake_assets.errors import PlatformError, UnreadableObject
from datalake_assets.formats.bytes import (
    EXPANSION_FLOOR_BYTES,
    MAX_EXPANSION,
    compression_by_name,
    detect_compression,
)
from datalake_assets.formats.encoding import DetectedEncoding, detect_encoding

CONTENT_BYTES = 1024 * 1024
_RANDOM_BITS = 7.9  # of 8 bits a byte; compressed data without a known beginning lies there too
_MIN_BYTES_TO_MEASURE = 4_096
_KNOWN_BYTES = (
    (b"PARE", "an encrypted Parquet file"),
    (b"Salted__", "encrypted (OpenSSL)"),
    (b"age-encryption.org/", "encrypted (age)"),
    (b"-----BEGIN PGP MESSAGE", "encrypted (PGP)"),
    (b"-----BEGIN AGE ENCRYPTED", "encrypted (age)"),
    (b"version https://git-lfs.", "a pointer of Git LFS, not the file itself: git lfs pull fetches it"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (xls, doc), maybe encrypted"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x04\x22\x4d\x18", "LZ4 data"),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy data"),
    (b"\x1f\x9d", "data of Unix compress"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b\x08", "gzip data"),
)
_TAR_AT = 257


@dataclass(frozen=True)
class Content:
    """What a classifier looks at.

    `data` is at most `CONTENT_BYTES` of decompressed bytes and `is_complete` when that is all. `problem` says why the
    object cannot be classified at all, else it is None. `note` tells what is odd but no hindrance.
    """

    sample: Sample
    compression: str
    data: bytes = b""
    is_complete: bool = False
    problem: str | None = None
    note: str = ""

    @cached_property
    def encoding(self) -> DetectedEncoding:
        return detect_encoding(self.data, is_complete=self.is_complete)

    @cached_property
    def text(self) -> str:
        """The decoded beginning; what was cut off in the middle of a character is left out."""
        if not self.encoding.is_text:
            return ""
        decoder = codecs.getincrementaldecoder(self.encoding.name)("replace")
        return decoder.decode(self.data, final=self.is_complete).removeprefix("\ufeff")

    @cached_property
    def whole_lines(self) -> str:
        """The text up to its last line end, or all of it if there is no more or no line end."""
        text = self.text
        end = max(text.rfind("\n"), text.rfind("\r"))
        return text if self.is_complete or end < 0 else text[: end + 1]

    @property
    def compression_word(self) -> str:
        """`source.compression` for this object: auto where its name tells it."""
        return "auto" if compression_by_name(self.sample.uri) == self.compression else self.compression

    def why_no_text(self) -> str:
        """What bytes that are no text are."""
        for signature, told in _KNOWN_BYTES:
            if self.data.startswith(signature):
                return f"is {told}"
        if self.data[_TAR_AT : _TAR_AT + 5] == b"ustar":
            return "is a tar archive"
        counts = Counter(self.data[: 256 * 1024])
        if len(counts) == 1:
            packed = f", {self.compression} expanding without end (a zip bomb)" if self.compression != "none" else ""
            return f"is one byte repeated{packed}"
        total = sum(counts.values())
        bits = -sum(one / total * math.log2(one / total) for one in counts.values())
        if total >= _MIN_BYTES_TO_MEASURE and bits > _RANDOM_BITS:
            return "is encrypted, or compressed in an unknown way: its bytes are as random as noise"
        return f"is binary data: it {self.encoding.reason}"


def content_of(sample: Sample) -> Content:
    """Look into an object, in bounded time and memory whatever it is.

    Raises:
        PlatformError: the object cannot be fetched; everything wrong with its bytes is a `problem`.
    """
    from datalake_assets.discovery.classifiers.excerpt import beginning

    if not sample.size or not sample.head:
        return Content(sample, "none", problem="has zero bytes")
    compression = detect_compression(sample.head)
    note = ""
    try:
        if compression == "zip":
            problem, note = _look_at_members(sample)
            if problem:
                return Content(sample, compression, problem=problem)
        data, is_complete = beginning(sample, CONTENT_BYTES)
    except UnreadableObject as error:
        told = error.found
        is_sentence = told.startswith("the object ")
        problem = told.removeprefix("the object ") if is_sentence else f"cannot be read: {told}"
        return Content(sample, compression, problem=problem)
    if not data.strip(b" \t\r\n"):
        told = "is empty once decompressed" if compression != "none" and not data else "holds nothing but blank lines"
        return Content(sample, compression, data, is_complete, problem=told)
    known = next((told for signature, told in _KNOWN_BYTES if data.startswith(signature)), None)
    if known is not None:
        within = f" within {compression} data" if compression != "none" else ""
        return Content(sample, compression, data, is_complete, problem=f"is {known}{within}")
    return Content(sample, compression, data, is_complete, note=note)


def _look_at_members(sample: Sample) -> tuple[str | None, str]:
    """Why a zip archive is not read, and what should be known of it."""
    from datalake_assets.formats.zip_members import members, open_archive

    with closing(sample.open()) as file, open_archive(file, sample.uri) as archive:
        inside = members(archive, sample.uri)
    names = [one.filename for one in inside]
    if "[Content_Types].xml" in names:
        return "is an Office document (xlsx, docx …): land its sheet as CSV", ""
    expanded = sum(one.file_size for one in inside)
    if expanded > EXPANSION_FLOOR_BYTES and expanded > sample.size * MAX_EXPANSION:
        return f"is a zip bomb: {sample.size:,} bytes that expand to {expanded:,}", ""
    ends = sorted({name.rsplit("/", 1)[-1].rpartition(".")[2].lower() for name in names})
    if len(ends) > 1:
        return f"is a zip archive with files of different kinds ({', '.join(ends[:5])})", ""
    return None, f"{len(names)} files in the zip archive are read one after the other" if len(names) > 1 else ""


def error_told(error: PlatformError) -> str:
    """What an error found, as the end of a sentence about the object."""
    return error.found.removeprefix("the object ").removeprefix("the file ")
