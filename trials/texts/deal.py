"""Documents dealt to validation and test, so that none is in both, and their windows in a seeded order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clipsweep.trials.base.errors import TaskError, counted, either_mend
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.texts.documents import Document
from clipsweep.trials.texts.windows import Window

DOCUMENTS_AT_ONCE = 256

Cutter = Callable[[Sequence[Document]], list[list[Window]]]  # gives the windows of each document
Alike = tuple[Document, ...]  # documents of one text


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A window, and where it was cut from.

    Attributes:
        document: What it is of.
        number: How many windows of the document stand before it.
        window: Its tokens.
    """

    document: Document
    number: int
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many windows are wanted; None for all that there are, of a shared source half of its documents.

    Attributes:
        validation: 1 or more.
        test: 0 for no test.
    """

    validation: int | None
    test: int | None

    def of(self, split: str) -> int | None:
        """That of one split."""
        return self.validation if split == VALIDATION else self.test


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """Windows of each split, and how many documents were left out.

    Attributes:
        splits: In their seeded order; no ``test`` where there is none.
        dropped: Documents of validation whose text is in the test as well.
    """

    splits: dict[str, tuple[Cut, ...]]
    dropped: int


def deal_shared(documents: Sequence[Document], cut: Cutter, sizes: Sizes, seed: int) -> Dealt:
    """Deal the documents of one source: validation takes from the front of their seeded order, test from its end.

    Documents of one text go together.

    Raises:
        TaskError: Too few windows, or none.
    """
    order = _shuffled(documents, f"documents {seed}")
    if sizes.test == 0:
        return _finish({VALIDATION: _take(order, cut, sizes.validation)[0]}, sizes, seed)
    if sizes.validation is None and sizes.test is None:
        half = (len(order) + 1) // 2
        first, last = order[:half], order[half:]
    elif sizes.validation is None:
        used = _take(order[::-1], cut, sizes.test)[1]
        first, last = order[: len(order) - used], order[len(order) - used :]
    else:
        used = _take(order, cut, sizes.validation)[1]
        first, last = order[:used], order[used:]
    found = {VALIDATION: _take(first, cut, sizes.validation)[0], TEST: _take(last[::-1], cut, sizes.test)[0]}
    return _finish(found, sizes, seed)


def deal_apart(validation: Sequence[Document], test: Sequence[Document], cut: Cutter, sizes: Sizes, seed: int) -> Dealt:
    """Take each split from a source of its own; validation loses the documents whose text is in the test's source.

    Raises:
        TaskError: Too few windows, or none.
    """
    tested = {document.text for document in test} if sizes.test != 0 else set()
    free = [document for document in validation if document.text not in tested]
    found = {VALIDATION: _take(_shuffled(free, f"documents {seed} validation"), cut, sizes.validation)[0]}
    if sizes.test != 0:
        found[TEST] = _take(_shuffled(test, f"documents {seed} test"), cut, sizes.test)[0]
    return _finish(found, sizes, seed, dropped=len(validation) - len(free))


def _shuffled(documents: Sequence[Document], key: str) -> list[Alike]:
    """Documents in a random order, those of one text together."""
    alike: dict[str, list[Document]] = {}
    for document in documents:
        alike.setdefault(document.text, []).append(document)
    order = [tuple(each) for each in alike.values()]
    random.Random(key).shuffle(order)
    return order


def _take(order: Sequence[Alike], cut: Cutter, size: int | None) -> tuple[list[Cut], int]:
    """Windows of the first documents that give as many as are wanted, and of how many texts they are."""
    found: list[Cut] = []
    used = 0
    for alike, windows in _cut_each(order, cut):
        if size is not None and len(found) >= size:
            break
        used += 1
        found += [
            Cut(document=document, number=number, window=window)
            for document in alike
            for number, window in enumerate(windows)
        ]
    return found, used


def _cut_each(order: Sequence[Alike], cut: Cutter) -> Iterator[tuple[Alike, list[Window]]]:
    """Each text with its windows; some are read at a time, which is faster."""
    for start in range(0, len(order), DOCUMENTS_AT_ONCE):
        some = order[start : start + DOCUMENTS_AT_ONCE]
        yield from zip(some, cut([alike[0] for alike in some]), strict=True)


def _finish(found: dict[str, list[Cut]], sizes: Sizes, seed: int, dropped: int | None = None) -> Dealt:
    """Shuffle the windows of each split, and leave as many as are wanted.

    Args:
        found: Windows of each split.
        sizes: How many are wanted.
        seed: Of their order.
        dropped: Where the splits are of two sources, documents that validation lost to the test; None of one source.

    Raises:
        TaskError: There are fewer, or none.
    """
    for split, windows in found.items():
        if len(windows) < (sizes.of(split) or 1):
            raise TaskError(_too_few(split, len(windows), sizes, dropped))
        random.Random(f"windows {seed} {split}").shuffle(windows)
    return Dealt(splits={split: tuple(each[: sizes.of(split)]) for split, each in found.items()}, dropped=dropped or 0)


def _too_few(split: str, have: int, sizes: Sizes, dropped: int | None) -> str:
    """The refusal of a split with fewer windows than are wanted; ``dropped`` as for ``_finish``."""
    wanted, other = sizes.of(split), TEST if split == VALIDATION else VALIDATION
    lost = dropped if split == VALIDATION else None
    why = f", as {counted(lost, 'document')} of it {'is' if lost == 1 else 'are'} in the test too" if lost else ""
    mends = [f"lower task.{split}_size or task.text.length"] if have else []
    mends += ["give more documents"]
    mends += [f"lower task.{other}_size"] if dropped is None and sizes.of(other) else []
    if sizes.test != 0 and (dropped is None or lost):
        mends += ["do without a test: task.test_size: 0"]
    if not have:
        why = why or ", as none may be in two splits"
        said = f"no document is left for {'it' if wanted else split}{why}; expected one or more"
    else:
        said = f"the documents that are left for it give {counted(have, 'window')}{why}; expected at most {have:,}"
    return f"{f'task.{split}_size is {wanted:,}, but ' if wanted else ''}{said}. {either_mend(mends)}"
