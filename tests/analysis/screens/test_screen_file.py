"""What was screened is read back as it was, and other models' is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.screens.screen_file import SCREEN_VERSION, ScreenFile
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.screen.screened import Screened
from clipsweep.trials.spec.trial import PromptSet
from tests.analysis.screens.made_up import clip, screened

OURS = ("f" * 32, "float32", "t" * 32)


def make(shots: int = 2, seed: int = 0) -> Screened:
    draw = np.random.default_rng(seed)
    return screened({clip(rate): draw.normal(size=60) for rate in (0.5, 0.9)}, shots=shots)


def test_what_is_added_is_predicted_with(tmp_path: Path) -> None:
    path, made = tmp_path / "screen.parquet", make()
    ScreenFile(path, *OURS).add([made])
    screens = ScreenFile(path, *OURS).screens()
    assert screens.holds(made.request)
    (row, _) = ScreenFile(path, *OURS).table().to_pylist()
    predicted = screens.predict(made.request.prompt_set, [clip(0.5)])
    assert predicted is not None
    assert (row["gain"], row["gain_se"]) == pytest.approx((predicted.gain, predicted.gain_error))
    assert (row["layer"], row["module"], row["clip_rate"], row["ranks"]) == (0, "mlp", 0.5, [3, 4])
    np.testing.assert_array_equal(np.array(row["changes"], dtype=np.float32), made.changes[0])


def test_prompt_sets_are_added_one_after_the_other_and_the_last_of_one_counts(tmp_path: Path) -> None:
    file = ScreenFile(tmp_path / "screen.parquet", *OURS)
    for shots, seed in ((2, 0), (4, 1), (2, 2)):
        file.add([make(shots, seed)])
    assert len(file.screens()) == 2
    assert len(file.table()) == 4
    assert file.screens().predict(make().request.prompt_set, [clip(0.5)]) == predicted_of(make(2, 2))


def predicted_of(made: Screened) -> object:
    from clipsweep.analysis.screens.screens import Screens

    return Screens([made]).predict(made.request.prompt_set, [clip(0.5)])


def test_a_request_for_more_is_missing(tmp_path: Path) -> None:
    file, request = ScreenFile(tmp_path / "screen.parquet", *OURS), make().request
    file.add([make()])
    other_seed = PromptSet(shots=2, demo_seed=1, split="validation")
    assert not file.screens().holds(replace(request, clips=(*request.clips, clip(0.5, layer=1))))
    assert not file.screens().holds(replace(request, rows=70))
    assert not file.screens().holds(replace(request, prompt_set=other_seed))


def test_without_demonstrations_the_seed_does_not_count(tmp_path: Path) -> None:
    file = ScreenFile(tmp_path / "screen.parquet", *OURS)
    file.add([make(shots=0)])
    assert file.screens().predict(PromptSet(shots=0, demo_seed=7, split="validation"), [clip(0.5)]) is not None


@pytest.mark.parametrize("other", [("0", *OURS[1:]), (OURS[0], "float16", OURS[2]), (*OURS[:2], "0")])
def test_screens_of_another_model_or_other_rows_are_not_read(other: tuple[str, str, str], tmp_path: Path) -> None:
    ScreenFile(tmp_path / "screen.parquet", *OURS).add([make()])
    assert len(ScreenFile(tmp_path / "screen.parquet", *other).screens()) == 0


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "screen.parquet"
    ScreenFile(path, *OURS).add([make()])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="screen.parquet"):
        ScreenFile(path, *OURS).screens()


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "screen.parquet"
    ScreenFile(path, *OURS).add([make()])
    table = pq.read_table(path)
    newer = pa.array([SCREEN_VERSION + 1] * len(table), pa.int32())
    pq.write_table(table.set_column(table.schema.get_field_index("schema_version"), "schema_version", newer), path)
    with pytest.raises(StoreError, match="newer"):
        ScreenFile(path, *OURS).screens()
