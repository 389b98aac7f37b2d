"""The encoding of a text is told from its bytes, and binary data is told from text."""

import os
import random

import pytest

from datalake_assets.formats.encoding import decoded, detect_encoding, is_decodable

GERMAN = "Straße;Größe;Preis\nMünchen;„groß“;5 €\n" * 20


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (GERMAN.encode(), "utf-8"),
        (GERMAN.encode("utf-8-sig"), "utf-8"),
        (GERMAN.encode("utf-16"), "utf-16"),
        (GERMAN.encode("utf-16-le"), "utf-16-le"),
        (GERMAN.encode("utf-16-be"), "utf-16-be"),
        (GERMAN.encode("cp1252"), "cp1252"),
        ("naïve café, déjà vu\n".encode("latin-1"), "latin-1"),
        (b"id,name\n1,x\n", "utf-8"),
        ("標題,名稱\n甲,乙\n".encode("utf-16-le"), "utf-16-le"),
        (b"id,name\n" + b"1,some ordinary text\n" * 30 + b"2,with a \0 in it\n", "utf-8"),
    ],
)
def test_encodings_are_told_apart(head: bytes, name: str) -> None:
    found = detect_encoding(head, is_complete=True)
    assert found.name == name
    assert found.reason
    assert "".join(decoded([head], found.name, "x"))


def test_a_character_cut_at_the_end_of_a_sample_is_no_fault() -> None:
    head = "größe".encode()[:3]
    assert detect_encoding(head, is_complete=False).name == "utf-8"
    assert detect_encoding(head, is_complete=True).name != "utf-8"


def test_binary_and_encrypted_data_is_no_text() -> None:
    for data in (random.Random(7).randbytes(5000), bytes(5000), os.urandom(64), b"\x7fELF\x02\x01\x01" + bytes(100)):
        assert not detect_encoding(data, is_complete=True).is_text


def test_cyrillic_in_its_own_encoding_is_recognised() -> None:
    text = "Быстрая коричневая лиса прыгает через ленивую собаку, и это повторяется каждый день.\n" * 20
    found = detect_encoding(text.encode("cp1251"), is_complete=True)
    assert "".join(decoded([text.encode("cp1251")], found.name, "x")) == text


def test_a_character_split_over_chunks_is_whole() -> None:
    data = "äöü".encode()
    assert "".join(decoded([data[:1], data[1:4], data[4:]], "utf-8", "x")) == "äöü"


def test_wrong_bytes_are_known_afterwards() -> None:
    text = "".join(decoded([b"a\xffb"], "utf-8", "x", errors="surrogateescape"))
    assert not is_decodable(text)
    assert is_decodable("äb")
