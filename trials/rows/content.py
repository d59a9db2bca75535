"""What a file holds, whole: its bytes, or its text, where it is what its name says."""

from __future__ import annotations

from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.os_words import worded_as

BOM = b"\xef\xbb\xbf"
FROM_UTF_16 = "Convert it: iconv -f UTF-16 -t UTF-8 {name} > NEW, then put NEW in its place."
PARQUET = b"PAR1"
SIGNS = {  # how what is no text begins: what it is, and the mend
    b"version https://git-lfs": ("a pointer of Git LFS, not the rows themselves", "Fetch them: git lfs pull."),
    b"/annex/objects/": ("a pointer of git-annex, not the rows themselves", "Fetch them: git annex get."),
    b"\x1f\x8b": ("compressed (gzip)", "Unpack it: mv {name} {name}.gz && gunzip {name}.gz."),
    b"BZh": ("compressed (bzip2)", "Unpack it: bunzip2."),
    b"\xfd7zXZ": ("compressed (xz)", "Unpack it: unxz."),
    b"\x28\xb5\x2f\xfd": ("compressed (zstd)", "Unpack it: unzstd."),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "Unpack it, or save it as CSV in UTF-8."),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "Save it as CSV in UTF-8."),
    b"ARROW1": ("an Arrow file", "Write it as Parquet."),
    b"\xff\xfe\x00\x00": ("in UTF-32", FROM_UTF_16.replace("16", "32")),
    b"\x00\x00\xfe\xff": ("in UTF-32", FROM_UTF_16.replace("16", "32")),
    b"\xff\xfe": ("in UTF-16", FROM_UTF_16),
    b"\xfe\xff": ("in UTF-16", FROM_UTF_16),
}
PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<error", b"<head")


def read_bytes(path: Path, expected: str) -> bytes:
    """Read a file whole.

    Args:
        path: Of the file.
        expected: What it should hold, for the message.

    Raises:
        TaskError: It cannot be read, is empty, or begins as something else begins.
    """
    with worded_as(TaskError, f"reading {path}"):
        content = path.read_bytes()
    if not content:
        raise TaskError(f"{path} is empty; expected rows. Remove the file or write its rows.")
    signs = [held for sign, held in SIGNS.items() if content.startswith(sign)]
    if content.removeprefix(BOM)[:512].lstrip().lower().startswith(PAGES):
        signs = [("a web page (HTML or XML), as a server sends with an error", "Download the file itself.")]
    if signs:
        kind, mend = signs[0]
        raise TaskError(f"{path} is {kind}; expected {expected}. {mend.format(name=path.name)}")
    return content


def read_text(path: Path, expected: str) -> str:
    """Read a text file whole, in UTF-8 and without its mark; line ends are as written.

    Args:
        path: Of the file.
        expected: What it should hold, for the message.

    Raises:
        TaskError: As ``read_bytes``; bytes that are not UTF-8, or NUL bytes.
    """
    content = read_bytes(path, f"{expected} in UTF-8")
    if content.startswith(PARQUET):
        raise TaskError(f"{path} is a Parquet file; expected {expected} in UTF-8. Call it {path.stem}.parquet.")
    if (nul := content.find(b"\0")) >= 0:
        order = "LE" if nul % 2 else "BE"
        raise TaskError(
            f"{path}, line {_line(content, nul)}: a NUL byte; expected {expected} in UTF-8. If the file is in UTF-16: "
            f"iconv -f UTF-16{order} -t UTF-8 {path.name} > NEW; else it is damaged, get it anew."
        )
    try:
        return content.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start + len(content) - len(content.removeprefix(BOM))
        raise TaskError(f"{path}, line {_line(content, at)}: {_undecoded(content, at, path.name)}") from error


def _undecoded(content: bytes, at: int, name: str) -> str:
    """Why bytes are no UTF-8, and the mend: cut off in a character, or of another encoding."""
    if b"\n" not in content[at:] and len(content) - at < 4 and content[at] >= 0xC2:
        cause = "the file ends in the middle of a character, as one that is cut off does, or is in another encoding"
    else:
        cause = f"byte 0x{content[at]:02x} is not UTF-8"
    return (
        f"{cause}; expected UTF-8. If the file is in Latin-1 or Windows-1252: "
        f"iconv -f WINDOWS-1252 -t UTF-8 {name} > NEW, then put NEW in its place."
    )


def _line(content: bytes, at: int) -> int:
    """Line of a byte, from 1."""
    return content.count(b"\n", 0, at) + 1
