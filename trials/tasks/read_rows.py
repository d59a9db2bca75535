"""Rows of a split from a folder of files or from the hub; the one place that touches datasets."""

from __future__ import annotations

import logging
from pathlib import Path

from clipsweep.trials.base.errors import TaskError, first_line
from clipsweep.trials.base.hub import HUB_NAME
from clipsweep.trials.rows.parquet_file import table_rows
from clipsweep.trials.rows.read_folder import find_folder, read_folder
from clipsweep.trials.rows.split_files import ENDINGS
from clipsweep.trials.rows.split_rows import RowFile, SplitRows
from clipsweep.trials.tasks.definition import Source


def read_rows(source: Source, split: str, cache: Path, key: str = "task.path") -> SplitRows:
    """Read all rows of one split.

    Args:
        source: A folder (``rows.split_files`` says which of its files are a split), or a hub dataset.
        split: Name of the split, as the source spells it.
        cache: Where datasets keeps its Arrow files.
        key: Of the study file, that names the source.

    Raises:
        TaskError: No such folder or dataset, no file for the split, or a file that cannot be read.
    """
    folder = find_folder(source.path)
    if folder is not None:
        if given := [value for value in (source.config, source.revision) if value is not None]:
            raise TaskError(
                f"{source.path!r} is a folder, which has no configuration or revision ({given[0]!r}); expected a hub "
                f"name beside them. Remove config and revision."
            )
        return read_folder(folder, split)
    path = Path(source.path).expanduser()
    if path.is_file():
        raise TaskError(f"{key} is {source.path!r}, a file; expected the folder that holds it, here {path.parent}.")
    if not HUB_NAME.fullmatch(source.path) or path.suffix in ENDINGS:
        raise TaskError(f"{key} is {source.path!r}: no such folder; expected a folder of data files or a hub name.")
    return _read_hub(source, split, cache, key)


def shuffled_order(count: int, seed: int) -> list[int]:
    """The order in which ``datasets``' own ``shuffle(seed)`` puts so many rows."""
    import datasets

    numbered = datasets.Dataset.from_dict({"number": range(count)})
    return list(numbered.shuffle(seed=seed, keep_in_memory=True)[:]["number"])


def _read_hub(source: Source, split: str, cache: Path, key: str) -> SplitRows:
    """Rows of a hub dataset."""
    import datasets

    datasets.disable_progress_bars()
    logging.getLogger("datasets.packaged_modules").setLevel(logging.CRITICAL)  # what it logs it raises, too
    named = {"path": source.path, "name": source.config, "revision": source.revision}
    request = {**named, "split": split, "cache_dir": str(cache / "datasets")}
    try:
        loaded = datasets.load_dataset(**request)
        if source.columns is not None:
            loaded = loaded.select_columns(list(source.columns))
        kind = loaded.info.builder_name
        if kind == "csv":  # its types are guessed; so once more, as text
            texts = datasets.Features(dict.fromkeys(loaded.column_names, datasets.Value("string")))
            loaded = datasets.load_dataset(**request, features=texts, keep_default_na=False)
        table = loaded.with_format("arrow")[:]
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise TaskError(
            f"rows of {source.path!r}, split {split!r}, cannot be read: {first_line(error)}. There is no folder "
            f"of that name here, so the hub was asked. Set {key} to a folder with {split}.jsonl, or check the "
            f"network and HF_HUB_OFFLINE."
        ) from error
    place = ", ".join([source.path, *(f"{key} {value}" for key, value in _named(source).items())])
    rows = table_rows(table, place, guessed=kind == "json")
    file = RowFile(place=f"{place}, split {split!r}", name=split, unit="row", numbers=range(len(rows)), rows=rows)
    return SplitRows(source=place, split=split, files=[file])


def _named(source: Source) -> dict[str, str]:
    """Configuration and revision, those that are stated."""
    named = {"configuration": source.config, "revision": source.revision}
    return {key: value for key, value in named.items() if value is not None}
