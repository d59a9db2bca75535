"""Documents: a file of plain text each, or a row each of a folder, a file or the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.hub import HUB_NAME
from clipsweep.trials.rows.content import read_text
from clipsweep.trials.rows.read_folder import READERS, find_folder, read_file, read_folder
from clipsweep.trials.rows.split_files import ENDINGS
from clipsweep.trials.rows.split_rows import Origin, RowFile, SplitRows
from clipsweep.trials.rows.values import text_of
from clipsweep.trials.tasks.definition import Source
from clipsweep.trials.tasks.read_rows import read_rows
from clipsweep.trials.tasks.settings import TextSettings
from clipsweep.trials.texts.plain_files import PLAIN, TRAIN, find_plain

ALL = "all"  # what the rows of a file, or of a folder of plain text, are called
COLUMN = "text"  # of the one row that a file of plain text is


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text that is read from its beginning on.

    Attributes:
        text: As it is written.
        place: Split of the source and number in it.
        where: File and line, for messages.
    """

    text: str
    place: tuple[str, int]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The documents of one split of the source.

    Attributes:
        held: In their order; rows without text are none.
        origins: What was read.
    """

    held: tuple[Document, ...]
    origins: tuple[Origin, ...]


def read_documents(settings: TextSettings, split: str | None, cache: Path) -> Documents:
    """Read the documents of one split.

    A file of plain text is one document; of any other a row is one, where its column holds any text.

    Args:
        settings: Where they are.
        split: Of a folder or the hub. None for all of a file; of the hub ``train``; of a folder ``train``, or every
            file of plain text in one that has no ``train``.
        cache: For rows of the hub.

    Raises:
        TaskError: No such file, folder or dataset, nothing for the split, a file that cannot be read, or a column that
            is not there.
    """
    found = _find_rows(settings, split, cache)
    _check_column(found, settings.column)
    held: list[Document] = []
    for file in found.files:
        for number, row in zip(file.numbers, file.rows, strict=True):
            where = f"{file.place}, {file.unit} {number}"
            text = _text(row.get(settings.column), settings.column, where)
            held.append(Document(text=text, place=(found.split, len(held)), where=where))
    return Documents(held=tuple(each for each in held if each.text), origins=tuple(found.origins))


def _check_column(found: SplitRows, column: str) -> None:
    """See that some row has the column."""
    names = {str(name) for file in found.files for row in file.rows for name in row}
    if names and column not in names:
        raise TaskError(
            f"{found.source}, split {found.split!r}, has no column {column!r}; it has {', '.join(sorted(names))}. Give "
            f"task.text.column the name of the one that holds text."
        )


def _text(value: object, column: str, where: str) -> str:
    """The text of a row; nothing where it has none."""
    try:
        return "" if value is None else text_of(value, column)
    except TaskError as error:
        raise TaskError(f"{where}: {error}") from error


def _find_rows(settings: TextSettings, split: str | None, cache: Path) -> SplitRows:
    """Rows of a split, files of plain text among them."""
    folder, path = find_folder(settings.path), Path(settings.path).expanduser()
    if folder is not None:
        _refuse_beside(settings, "a folder", {"config": settings.config, "revision": settings.revision})
        plain = find_plain(folder, split)
        return _as_rows(folder, split or ALL, plain) if plain else read_folder(folder, split or TRAIN)
    if path.is_file():
        _refuse_beside(
            settings, "a file", {"config": settings.config, "revision": settings.revision, "splits": settings.splits}
        )
        return _one_file(path)
    if not HUB_NAME.fullmatch(settings.path) or path.suffix in (*ENDINGS, PLAIN):
        raise TaskError(
            f"task.text.path is {settings.path!r}: no such file or folder; expected a file of text or of rows, a "
            f"folder of such, or a hub name. Look at how it is spelt."
        )
    source = Source(path=settings.path, config=settings.config, revision=settings.revision)
    return read_rows(source, split or TRAIN, cache, "task.text.path")


def _refuse_beside(settings: TextSettings, kind: str, given: Mapping[str, object]) -> None:
    """Refuse keys that have no effect on what the path names."""
    for key, value in given.items():
        if value is not None:
            raise TaskError(
                f"task.text.path is {settings.path!r}, {kind}, on which task.text.{key} has no effect. Remove "
                f"task.text.{key}."
            )


def _one_file(path: Path) -> SplitRows:
    """All rows of a file; of plain text the one that it is."""
    if path.suffix == PLAIN:
        return _as_rows(path.parent, ALL, [path])
    if path.suffix not in READERS:
        raise TaskError(
            f"task.text.path is {str(path)!r}, a file of no known format; expected one that ends in "
            f"{', '.join((PLAIN, *ENDINGS))}. Rename or convert it."
        )
    return SplitRows(source=str(path.parent), split=ALL, files=[read_file(path, path.parent)])


def _as_rows(folder: Path, split: str, paths: Sequence[Path]) -> SplitRows:
    """Files of plain text, a row each."""
    files = [
        RowFile(
            place=str(path),
            name=path.relative_to(folder).as_posix(),
            unit="line",
            numbers=(1,),
            rows=({COLUMN: read_text(path, "text")},),
        )
        for path in paths
    ]
    return SplitRows(source=str(folder), split=split, files=files)
