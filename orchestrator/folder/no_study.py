"""What to say where a study's folder was expected and there is none."""

from __future__ import annotations

import difflib
from pathlib import Path

from clipsweep.orchestrator.folder.study_folder import STUDIES, StudyFolder

EXPECTED = "expected the folder that 'clipsweep run' named (study.yaml in it)"


def no_study(folder: StudyFolder) -> str:
    """Say what is there instead, and what was probably meant."""
    path = folder.path
    if path.is_file():
        beside = StudyFolder(path.parent)
        meant = f" Did you mean '{beside}'?" if beside.subject.is_file() else f" It is {STUDIES}/NAME without --dir."
        return f"{folder} is a file and holds no study; {EXPECTED}.{meant}"
    if folder.study.is_file():
        return (
            f"{folder} holds no study that was run: study.yaml is there, identity.json is not. Run it with: "
            f"clipsweep run {folder.study} --dir {folder}"
        )
    if folder.holds_rows():
        return (
            f"{folder} holds rows, but no study.yaml and no identity.json, and its files are of an older clipsweep, "
            f"which did not write into them what these say; expected both. Bring them back from a copy, or run the "
            f"study again from its own file: clipsweep run STUDY.yaml --dir {folder}. 'clipsweep.load' reads the rows "
            f"alone."
        )
    close = _nearest(path)
    hint = f" Did you mean {str(close)!r}?" if close is not None else " 'clipsweep list' shows the studies there are."
    return f"{folder} holds no study; {EXPECTED}.{hint}"


def _nearest(path: Path) -> Path | None:
    """The study that is named most like a path, beside it or where studies live."""
    for place in (path.parent, STUDIES):
        if place.is_dir():
            names = [each.name for each in place.iterdir() if each != path and StudyFolder(each).subject.is_file()]
            close = difflib.get_close_matches(path.name, names, n=1)
            if close:
                return place / close[0]
    return None
