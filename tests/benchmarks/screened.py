"""What a screen says of the stored surfaces, beside what is so, and what it costs next to a full grid.

    python -m tests.benchmarks.screened NAME ...

screens every validation row of a surface, as many at a time as a study does, and keeps the predictions as
``surfaces/screens/NAME.parquet``. Without a name nothing is computed: the figures are those of what is kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import spearmanr

from clipsweep.analysis.screens.screens import Screens
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.screen.screened import DEFAULT_ROWS, FORMULA_NAME, Screened, ScreenRequest
from clipsweep.trials.spec.trial import VALIDATION, PromptSet
from tests.benchmarks.document import Line, at_least, at_most, print_document, tell
from tests.benchmarks.surfaces import FOLDER, Numbers, Surface, clips_of, listed, load_surface

SCREENS = FOLDER / "screens"
SHARE, GATE, COST = 0.25, 0.95, 0.01  # of the points, of what there is to gain, and of the grid's operations
_FACTS = b"screens"
_CLIP = pa.struct([("layer", pa.int32()), ("module", pa.string()), ("clip_rate", pa.float64())])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScreens:
    """Screens of all validation rows of a surface, ``DEFAULT_ROWS`` at a time.

    Attributes:
        request: What each screened.
        margins: Of the untouched model, shape ``(validation rows,)``.
        changes: Predicted, shape ``(clips, validation rows)``.
        groups: For each row the number of its group within its screen.
        operations: Of one screen.
    """

    request: ScreenRequest
    margins: NDArray[np.float32]
    changes: NDArray[np.float32]
    groups: tuple[int, ...]
    operations: int

    def __len__(self) -> int:
        """Number of screens."""
        return len(self.margins) // self.request.rows

    def rows_of(self, number: int) -> NDArray[np.int64]:
        """The validation rows of one of the screens."""
        return np.arange(number * self.request.rows, (number + 1) * self.request.rows)

    def __getitem__(self, number: int) -> Screens:
        """One of the screens, as a study would have it whose last rows those are."""
        rows = self.rows_of(number)
        screened = Screened(
            request=self.request,
            ranks=((),) * len(self.request.clips),  # not asked for in a replay
            margins=self.margins[rows],
            groups=tuple(self.groups[row] for row in rows),
            changes=self.changes[:, rows],
            formula=FORMULA_NAME,
            operations=self.operations,
            seconds=0.0,
        )
        return Screens([screened])


def load_screens(surface: Surface) -> StoredScreens | None:
    """Screens of a surface; None where there are none.

    Raises:
        ValueError: They are of another model or other rows.
    """
    path = SCREENS / f"{surface.name}.parquet"
    if not path.exists():
        return None
    table = pq.read_table(path)
    facts = json.loads((table.schema.metadata or {})[_FACTS])
    if facts["of"] != _of(surface):
        raise ValueError(f"{path} is of another model or other rows. Make it again.")
    clips, rows = (listed(table, name) for name in ("clip", "changes"))
    changes = [np.frombuffer(row, dtype="<f2").astype(np.float32) for row in rows]
    return StoredScreens(
        request=replace(request_of(surface), clips=clips_of(clips)),
        margins=np.array(facts["margins"], dtype=np.float32),
        changes=np.stack(changes),
        groups=tuple(facts["groups"]),
        operations=facts["operations"],
    )


def request_of(surface: Surface) -> ScreenRequest:
    """Every clip of a surface alone."""
    clips = dict.fromkeys(clip for clips in surface.points for clip in clips)
    return ScreenRequest(prompt_set=prompt_set_of(surface), clips=tuple(clips), rows=DEFAULT_ROWS)


def prompt_set_of(surface: Surface) -> PromptSet:
    """The prompts that a surface was evaluated on."""
    return PromptSet(shots=surface.axes.shots, demo_seed=surface.axes.demo_seed, split=VALIDATION)


def make(surface: Surface) -> None:
    """Screen all validation rows of a surface with its model, and keep that."""
    import torch

    from clipsweep.trials.base.files import default_cache
    from clipsweep.trials.screen.screen import screen
    from tests.benchmarks.surface_making import RECIPES, Bench

    torch.set_num_threads(1)
    bench, request = Bench.load(RECIPES[surface.name], default_cache()), request_of(surface)
    prompts = bench.prompts[VALIDATION]
    parts = [
        screen(bench.engine, replace(prompts, queries=prompts.queries[: start + DEFAULT_ROWS], cuts=()), request)
        for start in range(0, len(prompts.queries), DEFAULT_ROWS)
    ]
    facts = {
        "of": _of(surface),
        "margins": np.concatenate([part.margins for part in parts]).tolist(),
        "groups": [group for part in parts for group in part.groups],
        "operations": parts[0].operations,
    }
    changes = np.concatenate([part.changes for part in parts], axis=1).astype("<f2")
    clips = [{name: getattr(clip, name) for name in ("layer", "module", "clip_rate")} for clip in request.clips]
    table = pa.table({"clip": pa.array(clips, _CLIP), "changes": [row.tobytes() for row in changes]})
    SCREENS.mkdir(exist_ok=True)
    with whole_file(SCREENS / f"{surface.name}.parquet") as written:
        pq.write_table(table.replace_schema_metadata({_FACTS: json.dumps(facts)}), written, compression="zstd")


def predicted_gains(surface: Surface, screens: Screens) -> Numbers:
    """Predicted gain of each point of a surface."""
    found = [screens.predict(prompt_set_of(surface), clips) for clips in surface.points]
    return np.array([each.gain for each in found if each is not None])


def share_in_front(surface: Surface, predicted: Numbers, share: float = SHARE) -> float:
    """Of what there is to gain in held-out accuracy, how much the points with the largest predictions hold."""
    front = np.argsort(-predicted, kind="stable")[: ceil(share * len(predicted))]
    return float((surface.values[front].max() - surface.baseline) / surface.gain_to_have)


def screen_lines(surface: Surface) -> Iterator[Line]:
    """The gate of a surface that was screened: over its screens the median, and the least of what is held."""
    screens = load_screens(surface)
    if screens is None:
        return
    predicted = [predicted_gains(surface, screens[number]) for number in range(len(screens))]
    ranks = [float(spearmanr(each[1:], surface.values[1:])[0]) for each in predicted]
    quarter, tenth = ([share_in_front(surface, each, share) for each in predicted] for share in (SHARE, 0.1))
    grid = float(surface.operations.sum()) * surface.validation.shape[1]
    label = f"{surface.name}: screen of {DEFAULT_ROWS} rows"
    yield Line(name=f"{label}, rank correlation with the held-out gain", value=median(ranks), unit="")
    yield at_least(f"{label}, of the gain in the top quarter, least of {len(screens)}", min(quarter), "", GATE)
    yield Line(name=f"{label}, of the gain in the top tenth, median", value=median(tenth), unit="")
    yield Line(name=f"{label}, of the gain in the top tenth, least of {len(screens)}", value=min(tenth), unit="")
    yield at_most(f"{label}, operations over those of the grid", screens.operations / grid, "", COST)


def measure(names: Sequence[str]) -> list[Line]:
    """The figures of every surface that was screened, after those of these names have been."""
    for name in names:
        make(load_surface(name))
    paths = sorted(SCREENS.glob("*.parquet"))
    return list(tell([line for path in paths for line in screen_lines(load_surface(path.stem))]))


def _of(surface: Surface) -> list[str]:
    return [surface.card.fingerprint, surface.card.dtype, surface.task_fingerprint]


if __name__ == "__main__":
    print_document(lambda: measure(sys.argv[1:]))
