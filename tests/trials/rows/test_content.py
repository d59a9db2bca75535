import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.content import read_bytes, read_text

ROWS = "text,label\nfilm,pos\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ROWS.encode("utf-16"), "train.csv is in UTF-16; expected CSV in UTF-8. .*iconv -f UTF-16 -t UTF-8 train.csv"),
        (b"\xfe\xff" + ROWS.encode("utf-16-be"), "is in UTF-16"),
        (ROWS.encode("utf-32"), "is in UTF-32.*iconv -f UTF-32"),
        (ROWS.encode("utf-16-le"), "train.csv, line 1: a NUL byte; .*iconv -f UTF-16LE"),
        (ROWS.encode("utf-16-be"), "train.csv, line 1: a NUL byte; .*iconv -f UTF-16BE"),
        (f"{ROWS}a\0b,pos\n".encode(), "train.csv, line 3: a NUL byte"),
        (f"{ROWS}café,pos\n".encode("latin-1"), "train.csv, line 3: byte 0xe9 is not UTF-8; .*iconv -f WINDOWS-1252"),
        (f"{ROWS}“,pos\n".encode("cp1252"), "train.csv, line 3: byte 0x93 is not UTF-8"),
        (f"{ROWS}café".encode()[:-1], "train.csv, line 3: the file ends in the middle of a character"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS.*git lfs pull"),
        (b"/annex/objects/SHA256E-s1", "is a pointer of git-annex.*git annex get"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page .HTML or XML.*Download the file itself"),
        (b"\xef\xbb\xbf\n <HTML>", "is a web page"),
        (b"<?xml version='1.0'?><Error>", "is a web page"),
        (gzip.compress(ROWS.encode(), mtime=0), "is compressed .gzip.; .*gunzip train.csv.gz"),
        (bz2.compress(ROWS.encode()), "is compressed .bzip2."),
        (lzma.compress(ROWS.encode()), "is compressed .xz."),
        (b"PK\x03\x04rest", "is a zip archive or an Excel workbook"),
        (b"PAR1rest", "is a Parquet file; expected CSV in UTF-8. Call it train.parquet"),
        (b"", "train.csv is empty; expected rows"),
    ],
)
def test_what_is_no_text_is_told_with_its_mend(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TaskError, match=words):
        read_text(path, "CSV")


def test_the_mark_of_utf_8_is_no_text(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + ROWS.encode())
    assert read_text(path, "CSV") == ROWS


def test_line_ends_and_other_white_space_are_as_written(path: Path) -> None:
    text = "a\r\nb\rc\x0cd\u2028e\ufeff"
    path.write_bytes(text.encode())
    assert read_text(path, "CSV") == text


def test_a_file_that_the_system_does_not_read_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.symlink_to("/proc/self/mem")  # opens, and fails when read
    with pytest.raises(TaskError, match="reading .*train.csv failed: the disk or network"):
        read_bytes(path, "CSV")
