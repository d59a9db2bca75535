"""The theory of a small study that was run, and of studies that have nothing to tell."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import clipsweep
from clipsweep.analysis.figures.theory.table import correlations_table
from clipsweep.analysis.theory.verdict import headline
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.theory.words import describe_theory
from clipsweep.trials.base.errors import EvaluationError, StudyError
from clipsweep.trials.engine.engine import Engine
from tests.conftest import tiny_study
from tests.orchestrator.commands.typed import json_of, runner

MakeStudy = Callable[..., dict[str, Any]]
SPACE = {"modules": ["attn", "mlp"], "clip_rates": [0, 0.5, 0.9]}


@pytest.fixture(scope="module")
def measured(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> clipsweep.StudyHandle:
    """A study of two layers with ``theory: true``, run to its end; for reading."""
    patch = pytest.MonkeyPatch()
    patch.setenv("CLIPSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
    folder = tmp_path_factory.mktemp("theory") / "s"
    study = clipsweep.run(tiny_study(tiny_gptj, space=SPACE) | {"theory": True}, dir=folder, quiet=True)
    patch.undo()
    return study


def test_every_clipped_trial_is_told_with_all_its_quantities(measured: clipsweep.StudyHandle) -> None:
    changes = measured.theory().changes
    assert len(changes.trials) == 8
    assert all(value is not None for trial in changes.trials for value in trial.quantities.values())


def test_a_gain_is_that_of_the_rows(measured: clipsweep.StudyHandle) -> None:
    rows = {row.trial_id: row for row in measured.stored_rows()}
    base = next(row for row in rows.values() if row.split == "validation" and not row.clips)
    for trial in measured.theory().changes.trials:
        gained = rows[trial.trial_id].accuracy - base.accuracy  # type: ignore[operator]
        assert trial.gain == pytest.approx(gained)


def test_clips_reach_the_blocks_that_they_can_and_none_before(measured: clipsweep.StudyHandle) -> None:
    found = {(each.module, each.layer): each for each in measured.theory().reach}
    assert [found[key].expected for key in (("attn", 0), ("attn", 1), ("mlp", 0), ("mlp", 1))] == [2, 1, 1, 0]
    assert all(each.before == 0 and each.changed <= each.expected for each in found.values())
    assert found["attn", 0].changed == 2


def test_a_value_removed_is_that_of_the_matrices_themselves(measured: clipsweep.StudyHandle, tiny_gptj: Path) -> None:
    weights = load_file(tiny_gptj / "model.safetensors")
    names = [f"transformer.h.0.mlp.{name}.weight" for name in ("fc_in", "fc_out")]
    values = [np.linalg.svd(weights[name].astype(np.float64), compute_uv=False) for name in names]
    trial = next(each for each in measured.theory().changes.trials if each.clips[0].module == "mlp" and each.layer == 0)
    kept = round(len(values[0]) * (1 - trial.clips[0].clip_rate))
    assert trial.quantities["share_removed"] == pytest.approx(max((s[kept:] ** 2).sum() / (s**2).sum() for s in values))
    assert trial.quantities["spectral_norm"] == pytest.approx(max(s[0] for s in values))


def test_the_document_is_json_and_that_of_python(measured: clipsweep.StudyHandle) -> None:
    assert json_of("theory", str(measured.folder)) == json.loads(json.dumps(measured.theory().document()))


def test_the_words_have_a_line_for_each_quantity_and_the_answer_first(measured: clipsweep.StudyHandle) -> None:
    result = runner.invoke(app, ["theory", str(measured.folder)])
    assert result.exit_code == 0, result.output
    words = describe_theory(measured.theory())
    assert words.index("answer") < words.index("condition number") < words.index("Blocks whose")
    assert "8 clipped trials of 2 layers on 1 prompt set" in result.stdout


def test_the_report_has_a_part_for_it(measured: clipsweep.StudyHandle, tmp_path: Path) -> None:
    page = measured.report(tmp_path / "r.html").read_text(encoding="utf-8")
    part = page[page.index('<h2 id="theory">') :].split("</section>")[0]
    assert headline(measured.theory().predictions) in part
    assert 'id="figure-theory-predicts"' in part


def test_a_report_of_too_few_trials_says_so(make_study: MakeStudy, tmp_path: Path) -> None:
    study = clipsweep.run(make_study(space={"layers": [0]}) | {"theory": True}, dir=tmp_path / "s", quiet=True)
    page = study.report(tmp_path / "r.html").read_text(encoding="utf-8")
    part = page[page.index('<h2 id="theory">') :].split("</section>")[0]
    assert "has 2 measured clipped trials on 1 prompt set; expected 4 or more" in part
    assert "<figure" not in part


def test_figures_of_it_are_those_of_the_study(measured: clipsweep.StudyHandle, finished_study: Path) -> None:
    drawn = clipsweep.figure("theory-table", measured.folder)
    assert drawn == correlations_table(measured.theory())
    assert clipsweep.figure("theory-table", clipsweep.load(measured.folder)).rows[0] == drawn.rows[0]
    with pytest.raises(StudyError, match="theory-reach needs one study that asked for the paper's theory .*lacks that"):
        clipsweep.figure("theory-reach", finished_study)


def test_two_layers_have_no_interval_by_layer(measured: clipsweep.StudyHandle) -> None:
    assert {each.by_layer for each in measured.theory().predictions.correlations} == {None}


def test_without_a_spectrum_the_rivals_are_missing_and_it_is_said(
    measured: clipsweep.StudyHandle, tmp_path: Path
) -> None:
    folder = shutil.copytree(measured.folder, tmp_path / "copy")
    (folder / "spectrum.parquet").unlink()
    theory = clipsweep.open_study(folder).theory()
    assert theory.predictions.against_spectrum is None
    assert "singular values are not measured yet" in describe_theory(theory)


def test_of_an_unfinished_study_the_answer_is_told_to_be_one_so_far(
    measured: clipsweep.StudyHandle, tmp_path: Path
) -> None:
    assert "so far" not in describe_theory(measured.theory())
    folder = shutil.copytree(measured.folder, tmp_path / "copy")
    content = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    content["space"]["clip_rates"] = [0, 0.5, 0.7, 0.9]
    (folder / "study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "end.json").unlink()
    assert "this is the answer so far, after" in describe_theory(clipsweep.open_study(folder).theory())


def test_a_study_that_did_not_ask_is_told_how(finished_study: Path) -> None:
    with pytest.raises(StudyError, match="did not ask for .*clipsweep run STUDY --set theory=true.*nothing is scored"):
        clipsweep.open_study(finished_study).theory()


def test_a_study_without_demonstrations_is_not_told_to_ask(make_study: MakeStudy, tmp_path: Path) -> None:
    study = clipsweep.run(make_study(space={"shots": [0]}), dir=tmp_path / "s", quiet=True)
    with pytest.raises(StudyError, match="no trial that the theory says anything of; expected .* with demonstrations"):
        study.theory()


def test_a_study_that_asks_after_its_end_says_the_same_as_one_that_asked_before(
    measured: clipsweep.StudyHandle, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    content = tiny_study(tiny_gptj, space=SPACE)
    for asks in (False, True):
        study = clipsweep.run(content | {"theory": asks}, dir=tmp_path / "s", quiet=True)
    before, after = (without_times(each.theory().document()) for each in (measured, study))
    assert before == after


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if "seconds" not in key and "cost" not in key}


def test_before_its_stored_trials_are_measured_a_study_says_how_many_can_be(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipsweep.run(make_study(), dir=tmp_path / "s", quiet=True)
    monkeypatch.setattr(Engine, "measure", lambda *_: [EvaluationError("too small a device")])
    study = clipsweep.run(make_study() | {"theory": True}, dir=tmp_path / "s", quiet=True)
    with pytest.raises(StudyError, match="4 clipped trials and none was measured yet.*: 7 stored trials can be"):
        study.theory()


def test_where_the_untouched_row_was_not_measured_it_is_missed(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipsweep.run(make_study(space={"clip_rates": [0]}), dir=tmp_path / "s", quiet=True)
    monkeypatch.setattr(Engine, "measure", lambda *_: [EvaluationError("too small a device")])
    study = clipsweep.run(make_study() | {"theory": True}, dir=tmp_path / "s", quiet=True)
    with pytest.raises(StudyError, match="4 measured trials without an untouched row.*: 2 stored trials can be meas"):
        study.theory()


def test_a_run_says_that_stored_trials_are_measured_at_its_end(make_study: MakeStudy, tmp_path: Path) -> None:
    clipsweep.run(make_study(space={"clip_rates": [0]}), dir=tmp_path / "s", quiet=True)
    asked = make_study() | {"theory": True}
    said = "2 stored trials ran before 'theory: true' was set: .*nothing is scored again, and no row changes"
    assert any(re.search(said, note) for note in clipsweep.plan(asked, dir=tmp_path / "s")["notes"])
    study = clipsweep.run(asked, dir=tmp_path / "s", quiet=True)
    assert re.search(said, (tmp_path / "s" / "log.txt").read_text(encoding="utf-8"))
    assert study.theory().changes.alone == 0
    assert not any("stored trial" in note for note in clipsweep.plan(asked, dir=tmp_path / "s")["notes"])


def test_trials_that_share_no_prompts_are_too_few(make_study: MakeStudy, tmp_path: Path) -> None:
    space = {"layers": [0], "modules": ["attn"], "clip_rates": [0, 0.5, 0.9], "demo_seeds": [0, 1]}
    study = clipsweep.run(make_study(space=space) | {"theory": True}, dir=tmp_path / "s", quiet=True)
    with pytest.raises(StudyError, match="has 4 measured clipped trials on 2 prompt sets; expected 4 or more on one"):
        study.theory()


def test_too_few_trials_are_refused(make_study: MakeStudy, tmp_path: Path) -> None:
    study = clipsweep.run(make_study(space={"layers": [0]}) | {"theory": True}, dir=tmp_path / "s", quiet=True)
    with pytest.raises(StudyError, match="has 2 measured clipped trials on 1 prompt set; expected 4 or more"):
        study.theory()


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    result = runner.invoke(app, ["theory", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds no study" in result.stderr
