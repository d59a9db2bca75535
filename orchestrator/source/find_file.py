"""Find the file of a study: a path, or the name of one that comes with clipsweep."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from clipsweep.trials.base.errors import StudyError, unknown_name
from clipsweep.trials.base.os_words import worded_as

SHIPPED = Path(__file__).parent.parent / "studies"
OF_YAML = (".yaml", ".yml", ".json")


def shipped_studies() -> list[str]:
    """Names of the studies that come with clipsweep."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find_study_file(name: str | Path) -> Path:
    """The file of a path, or of a shipped study's name.

    Raises:
        StudyError: There is no such file, or it is a folder, with what was probably meant.
    """
    path = Path(name).expanduser()
    if is_file(path):
        return path
    if str(name) in shipped_studies():
        return SHIPPED / f"{name}.yaml"
    if path.is_dir():
        raise StudyError(_refuse_folder(path))
    if looks_like_path(str(name)):
        raise StudyError(missing_file(path))
    beside = _nearest_file(path)
    meant = f"Did you mean the file {str(beside)!r}?" if beside is not None else "Or give the path of a YAML file."
    raise StudyError(f"{unknown_name('study', str(name), shipped_studies())} {meant}")


def is_file(path: Path) -> bool:
    """Whether there is such a file.

    Raises:
        StudyError: It cannot be told.
    """
    return _told(path, path.is_file)


def is_dir(path: Path) -> bool:
    """Whether there is such a folder.

    Raises:
        StudyError: It cannot be told.
    """
    return _told(path, path.is_dir)


def _told(path: Path, ask: Callable[[], bool]) -> bool:
    with worded_as(StudyError, f"looking for {str(path)[:80]!r}"):
        return ask()


def looks_like_path(name: str) -> bool:
    """Whether a name is meant as a path: of YAML, or in some folder."""
    return name.endswith(OF_YAML) or "/" in name


def missing_file(path: Path) -> str:
    """Say that there is no such file, and which one is nearest."""
    if not path.parent.is_dir():
        return f"no such file: {str(path)!r}; there is no folder {str(path.parent)!r}. Look at how the path is spelt."
    close = _nearest_file(path)
    where = "in this folder" if path.parent == Path() else f"in {str(path.parent)!r}"
    meant = f"Did you mean {str(close)!r}?" if close is not None else "'clipsweep init' writes one to start from."
    return f"no such file: {str(path)!r}; expected a YAML file, and {where} there is none of that name. {meant}"


def _nearest_file(path: Path) -> Path | None:
    """The YAML file beside a path that is named most like it; None where none is like it."""
    if not path.parent.is_dir():
        return None
    names = [each.name for each in path.parent.iterdir() if each.suffix in OF_YAML]
    wanted = path.name if path.suffix in OF_YAML else f"{path.name}.yaml"
    close = difflib.get_close_matches(wanted, names, n=1)
    return path.parent / close[0] if close else None


def _refuse_folder(path: Path) -> str:
    """Say what to run in place of a folder."""
    found = [each for each in path.iterdir() if each.suffix in OF_YAML and not each.name.startswith(".")]
    held = [each.name for each in sorted(found, key=lambda each: (each.suffix == ".json", each.name))]
    if not held:
        return f"{path} is a folder without a YAML file; expected the YAML file of a study, or a shipped name."
    return (
        f"{path} is a folder; expected a study's YAML file, or a shipped name. Did you mean {str(path / held[0])!r}? "
        f"To go on with a study that was run in this folder add --dir {path}."
    )
