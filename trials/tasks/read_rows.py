"""The one place that touches datasets: read rows of a split from a folder of files or from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.hub import HUB_NAME
from clipsweep.trials.tasks.definition import DataRow, Source

FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


def read_rows(source: Source, split: str, cache: Path) -> list[DataRow]:
    """Read all rows of one split.

    Args:
        source: A folder with ``<split>.jsonl`` (or .json, .csv, .parquet, or parquet shards), or a hub dataset; a
            folder has no configuration or revision.
        split: Name of the split, as the source spells it.
        cache: Where datasets keeps its Arrow files.

    Raises:
        TaskError: No such folder or dataset, no file for the split, or a file that does not parse.
    """
    import datasets

    datasets.disable_progress_bars()
    folder = Path(source.path).expanduser()
    name, wanted = source.path, split
    if folder.is_dir():
        files = _split_files(folder, split)
        request: dict[str, Any] = {"path": FORMATS[files[0].suffix], "data_files": [str(path) for path in files]}
        wanted = "train"
    elif HUB_NAME.fullmatch(name):
        request = {"path": name, "name": source.config, "revision": source.revision}
    else:
        raise TaskError(f"task.path is {name!r}: no such folder; expected a folder of data files or a hub name.")
    try:
        loaded = datasets.load_dataset(**request, split=wanted, cache_dir=str(cache / "datasets"))
        rows: list[DataRow] = loaded.to_list()
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise TaskError(
            f"rows of {name!r}, split {split!r}, cannot be read: {error}. "
            f"Set task.path to a folder with {split}.jsonl, or check the network and HF_HUB_OFFLINE."
        ) from error
    return rows


def shuffled_order(count: int, seed: int) -> list[int]:
    """The order in which ``datasets``' own ``shuffle(seed)`` puts so many rows."""
    import datasets

    numbered = datasets.Dataset.from_dict({"number": range(count)})
    return list(numbered.shuffle(seed=seed, keep_in_memory=True)[:]["number"])


def _split_files(folder: Path, split: str) -> list[Path]:
    """Files of one split: ``split.*``, ``split-*`` shards, or a sub-folder of that name; all of one format."""
    candidates = [*folder.glob(f"{split}.*"), *folder.glob(f"{split}-*"), *folder.glob(f"{split}/*")]
    files = sorted(path for path in candidates if path.suffix in FORMATS)
    if not files:
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise TaskError(f"{folder} has no rows of split {split!r} (it holds {held}); expected {split}.jsonl or .csv …")
    if empty := [path for path in files if not path.stat().st_size]:
        raise TaskError(f"{empty[0]} is empty; expected rows. Remove the file or write its rows.")
    if len({path.suffix for path in files}) > 1:
        names = ", ".join(path.name for path in files)
        raise TaskError(f"split {split!r} of {folder} is there in several formats ({names}); keep one of them.")
    return files
