"""Which rows are demonstrations, validation and test: ours, where no row is in two splits, and the release's."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from clipsweep.trials.base.errors import TaskError, counted, either_mend
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.tasks.definition import Example, TaskDefinition
from clipsweep.trials.tasks.release import Release
from clipsweep.trials.tasks.settings import TaskSettings

DEMONSTRATIONS_PER_CLASS = 64

Read = Mapping[str, Sequence[Example]]  # rows of each split of the source, in its order


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Rows of each split.

    Attributes:
        demonstrations: Rows to draw from; of the release the demonstrations themselves, in their order.
        validation: In their seeded order.
        test: In their seeded order; empty for no test.
        dropped: Rows kept out of ``demonstrations`` and of ``validation`` because their text is in another split.
    """

    demonstrations: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    dropped: Mapping[str, int]


def cut_splits(settings: TaskSettings, definition: TaskDefinition, read: Read, seed: int) -> Cut:
    """Shuffle each split of the source, then cut: demonstrations first, validation next, test what is left.

    No text is in two splits: the test keeps it, validation loses it, demonstrations lose it first. Rows that were made
    of one row of the source stay together: the test has none whose like is in another split.

    Raises:
        TaskError: An empty split, or fewer rows than asked for.
    """
    splits = definition.splits
    order = {name: _shuffled(rows, f"split {seed} {name}") for name, rows in read.items()}
    for_demonstrations = _free(order, splits.demonstrations, above=(splits.test, splits.validation))
    for_validation = _free(order, splits.validation, above=(splits.test,))
    demonstrations = _first_of_each_class(settings, definition, for_demonstrations)
    taken = {row.row for row in demonstrations}
    # anew, as what is left has too few of the class that was short at its beginning
    left = _shuffled([row for row in for_validation if row.row not in taken], f"validation {seed}")
    dropped = len(order[splits.validation]) - len(for_validation)
    size = _validation_size(settings, definition, len(left))
    if size is not None or not left:
        _check_size(settings, VALIDATION, len(left), size, shared=dropped)
    validation = left[:size]
    taken |= {row.row for row in validation}
    test = [row for row in order.get(splits.test or "", []) if row.row not in taken]
    if settings.test_size is not None:
        _check_size(settings, TEST, len(test), settings.test_size, least=0)
    elif splits.test is not None and not test:
        raise TaskError(
            f"task {settings.name!r} has no rows left for the test, as validation takes all of {splits.test!r}; "
            f"expected some. Give task.validation_size, or do without a test: task.test_size: 0."
        )
    return Cut(
        demonstrations=tuple(demonstrations),
        validation=_mixed(validation, f"rows of validation {seed}"),
        test=_mixed(test[: settings.test_size], f"rows of test {seed}"),
        dropped={
            "demonstrations": len(order[splits.demonstrations]) - len(for_demonstrations),
            VALIDATION: dropped,
        },
    )


def cut_release(settings: TaskSettings, release: Release, read: Read, order: Sequence[int]) -> Cut:
    """The release's rows; a smaller validation split takes the first of each class, a smaller test the first rows.

    Args:
        settings: Sizes, if smaller ones are asked for.
        release: Which rows.
        read: Rows of train and of the splits of the hub that the release names.
        order: Train's rows as the release shuffles them.

    Raises:
        TaskError: A class of train has too few rows, or a split is empty.
    """
    train = [read["train"][number] for number in order]
    classes = [_of_class(train, label) for label in release.class_order]
    stop = release.start + release.per_class
    short = [label for label, rows in zip(release.class_order, classes, strict=True) if len(rows) < stop]
    if short:
        raise TaskError(
            f"variant release of task {settings.name!r} takes rows {release.start} to {stop - 1} of each class of "
            f"train as demonstrations; class {short[0]} has {len(_of_class(train, short[0]))} rows. "
            f"Give the whole train split, or use variant: paper."
        )
    turns = [rows[release.start + turn] for turn in range(release.per_class) for rows in classes]
    of_validation = release.validation if isinstance(release.validation, str) else slice(*release.validation)
    validation = _release_rows(read, classes, of_validation, settings.validation_size)
    test = _release_rows(read, classes, release.test or slice(stop, None), settings.test_size)
    _check_size(settings, VALIDATION, len(validation), settings.validation_size)
    if settings.test_size is not None:
        _check_size(settings, TEST, len(test), settings.test_size, least=0)
    return Cut(
        demonstrations=tuple(turns),
        validation=tuple(validation[: settings.validation_size]),
        test=tuple(test[: settings.test_size]),
        dropped={"demonstrations": 0, VALIDATION: 0},
    )


def _release_rows(read: Read, classes: Sequence[list[Example]], source: str | slice, size: int | None) -> list[Example]:
    """All rows of a split of the hub; or of train, from each class some of those in a slice, class after class.

    Args:
        read: Rows of each split of the hub.
        classes: Rows of train by class.
        source: The split, or the slice.
        size: Of a slice, how many rows in all; None for all that are in it.
    """
    if isinstance(source, str):
        return list(read[source])
    members = [rows[source] for rows in classes]
    return [row for rows in _share(members, size) for row in rows]


def _share(classes: Sequence[list[Example]], size: int | None) -> list[list[Example]]:
    """The first of each class, as even a share of ``size`` as their rows allow; all where it is None."""
    shares = [0] * len(classes)
    while size is not None and sum(shares) < size:
        open_classes = [n for n, rows in enumerate(classes) if shares[n] < len(rows)]
        if not open_classes:
            break
        shares[min(open_classes, key=lambda n: shares[n])] += 1
    return [list(rows) if size is None else rows[:share] for rows, share in zip(classes, shares, strict=True)]


def _of_class(rows: Sequence[Example], label: int) -> list[Example]:
    return [row for row in rows if row.gold == label]


def _validation_size(settings: TaskSettings, definition: TaskDefinition, left: int) -> int | None:
    """Rows of validation that are asked for; None for all."""
    if settings.validation_size is not None:
        return settings.validation_size
    if definition.validation_size is None and definition.validation_share is not None:
        return int(definition.validation_share * left)
    return definition.validation_size


def _shuffled(rows: Sequence[Example], seed: str) -> list[Example]:
    """Rows in another order, those together that were made of one row of the source."""
    order = _by_source(rows)
    random.Random(seed).shuffle(order)
    return [row for made in order for row in made]


def _by_source(rows: Sequence[Example]) -> list[list[Example]]:
    """Rows that were made of one row of the source, which stand together."""
    return [list(made) for _, made in groupby(rows, key=lambda row: row.row)]


def _mixed(rows: Sequence[Example], seed: str) -> tuple[Example, ...]:
    """Rows of a split in their order: where several were made of one, these are not neighbours to a race."""
    order = list(rows)
    if any(row.part is not None for row in rows):
        random.Random(seed).shuffle(order)
    return tuple(order)


def _free(order: Read, name: str, *, above: Sequence[str | None]) -> list[Example]:
    """Rows of a split of the source whose text no split of ours ``above`` needs, nor that of a row made beside them.

    One that is cut from the same rows needs every text that occurs more than once.
    """
    taken = {row.text for other in above if other not in (None, name) for row in order[other or ""]}
    made = _by_source(order[name])
    counts = Counter(text for rows in made for text in {row.text for row in rows} if name in above)
    return [
        row for rows in made if all(each.text not in taken and counts[each.text] < 2 for each in rows) for row in rows
    ]


def _first_of_each_class(settings: TaskSettings, definition: TaskDefinition, rows: Sequence[Example]) -> list[Example]:
    """Set rows aside for demonstrations, as many of each class; by default never more than a quarter of them."""
    n_classes = definition.n_classes
    wanted = definition.demonstrations if settings.demonstrations is None else settings.demonstrations
    if wanted is None:
        limit = min(DEMONSTRATIONS_PER_CLASS, max(1, len(rows) // (4 * n_classes)))
    else:
        limit = -(-wanted // n_classes)
    chosen = [_of_class(rows, label)[:limit] for label in range(n_classes)]
    short = [label for label, members in enumerate(chosen) if len(members) < limit]
    if wanted is not None and short:
        raise TaskError(
            f"{wanted} demonstrations of task {settings.name!r} are {limit} of each class, but the class of answer "
            f"{definition.wording.answers[short[0]]!r} has {len(chosen[short[0]])} rows for it. Lower "
            f"task.demonstrations or give more rows."
        )
    return [row for members in chosen for row in members]


def _check_size(
    settings: TaskSettings, split: str, have: int, wanted: int | None, least: int = 1, shared: int = 0
) -> None:
    """Refuse an empty split, and one of more rows than there are; ``shared`` as for ``too_few``."""
    if wanted is not None and wanted < least:
        raise TaskError(
            f"{_said_size(settings, split, wanted)}: an empty split; expected {least} or more rows. Raise it."
        )
    if have < (least if wanted is None else wanted):
        mends = [f"Lower task.{split}_size"] * bool(have) + ["give more rows"]
        raise too_few(settings, split, have, wanted, shared=shared, mends=mends)


def too_few(
    settings: TaskSettings,
    split: str,
    have: int,
    wanted: int | None,
    *,
    name: str = "row",
    shared: int = 0,
    mends: Sequence[str],
) -> TaskError:
    """The refusal of a split with fewer rows than are wanted.

    Args:
        settings: Of the task.
        split: Of ours.
        have: How many rows are left for it.
        wanted: How many it shall have; None for one or more.
        name: What a row is called.
        shared: How many are kept out of it, as their text is elsewhere too.
        mends: What helps, one or the other.
    """
    said = f"task {settings.name!r} has {counted(have, name) if have else f'no {name}'} left for "
    if wanted is None:
        said += split
    else:
        said = f"{_said_size(settings, split, wanted)}, but {said}it"
    if shared:
        share = "shares its" if shared == 1 else "share their"
        said += f", as {counted(shared, name)} {share} text with another, and no text may be in two splits"
    expected = f"at most {have:,}" if have else "one or more"
    return TaskError(f"{said}; expected {expected}. {either_mend(mends)}")


def _said_size(settings: TaskSettings, split: str, size: int) -> str:
    """The size of a split, and whether the user has said it."""
    stated = getattr(settings, f"{split}_size") is not None
    return f"task.{split}_size is {size:,}{'' if stated else ' by default'}"
