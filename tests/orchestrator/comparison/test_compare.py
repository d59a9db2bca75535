import shutil
from pathlib import Path

import pytest

import clipsweep
from clipsweep.analysis.compare.paper import BesidePaper
from clipsweep.orchestrator.comparison.compare import Comparison
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.trials.base.errors import SpecError, StudyError


def test_a_grid_and_a_search_of_the_same_rows_are_paired_and_agree(finished_study: Path, searched: Path) -> None:
    document = clipsweep.compare([finished_study, searched]).document()
    [pair] = document["pairs"]
    assert pair["paired"]
    assert pair["points_in_common"] == len(pair["points"]) >= 3
    assert pair["points_only_in_second"] == 0
    assert (pair["same_trials"], pair["same_trials_that_disagree"]) == (len(pair["points"]), 0)
    assert {point["difference"]["estimate"] for point in pair["points"]} == {0.0}
    assert "driver" in document["differ"]
    assert "task_fingerprint" not in document["differ"]
    assert all(study["cost"]["rows"] == 20 * study["cost"]["trials"] > 0 for study in document["studies"])


def test_what_is_compared_is_told_in_words(finished_study: Path, searched: Path) -> None:
    told = clipsweep.compare([finished_study, searched]).describe()
    assert told.startswith("winners   s: ")
    assert "paired over the same 20 rows of test" in told
    assert "one and the same trial, with the same answer to every row" in told
    assert "driver" in told
    assert "Points that change nothing, as at rate 0, count as one here: the untouched model." in told


def test_studies_of_other_rows_are_not_paired_and_say_why_nothing_is_in_common(
    finished_study: Path, of_other_rows: Path
) -> None:
    comparison = clipsweep.compare([finished_study, of_other_rows])
    [pair] = comparison.document()["pairs"]
    assert not pair["paired"]
    assert pair["no_clip_in_common_as_these_differ"] == ["modules"]
    told = comparison.describe()
    assert "No clip is in common, as they have no modules in common; the untouched model alone is in both." in told
    assert "but of other rows or another prompt" in told


def test_several_studies_are_each_compared_with_the_first(
    finished_study: Path, searched: Path, of_other_rows: Path
) -> None:
    document = clipsweep.compare([finished_study, searched, of_other_rows]).document()
    assert [(pair["first"], pair["second"]) for pair in document["pairs"]] == [("s", "searched"), ("s", "others")]
    assert [study["name"] for study in document["studies"]] == ["s", "searched", "others"]


def test_a_study_stands_beside_the_papers_curves_and_tables(rte_study: Path) -> None:
    comparison = clipsweep.compare(rte_study, published=True)
    document = comparison.document()
    layers = {
        (curve["model"], curve["published_layer"], curve["layer"], curve["matched"]) for curve in document["curves"]
    }
    assert layers == {
        ("GPT-J-6B", 0, 0, "from the start"),
        ("GPT-J-6B", 27, 1, "from the end"),
        ("LLAMA2-7B", 0, 0, "from the start"),
        ("LLAMA2-7B", 31, 1, "from the end"),
    }
    assert all([rate["clip_rate"] for rate in curve["rates"]] == [0.0, 0.5, 0.9] for curve in document["curves"])
    told = comparison.describe()
    assert "layer 27 (from the end)" in told
    assert "GPT-J-6B (table 6)" in told


def test_the_names_of_folders_that_end_alike_are_told_apart(finished_study: Path, tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to(finished_study)
    (tmp_path / "copy").mkdir()
    for file in finished_study.iterdir():
        (tmp_path / "copy" / file.name).symlink_to(file)
    (tmp_path / "copy").rename(tmp_path / "again")
    document = clipsweep.compare([finished_study, tmp_path / "again"]).document()
    assert [study["name"] for study in document["studies"]] == ["s", "again"]


@pytest.mark.parametrize(("number", "words"), [(0, "none was given"), (1, "alone was given.*--published")])
def test_too_few_folders_are_refused(finished_study: Path, number: int, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        clipsweep.compare([finished_study][:number])


def test_a_folder_that_is_given_twice_is_refused(finished_study: Path) -> None:
    with pytest.raises(SpecError, match=r"is given twice; expected different studies"):
        clipsweep.compare([finished_study, finished_study / ".." / finished_study.name])


def test_a_folder_without_a_study_is_refused(finished_study: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        clipsweep.compare([finished_study, tmp_path])


def test_a_study_without_rows_is_refused(finished_study: Path, tmp_path: Path) -> None:
    folder = reopen(finished_study).folder
    for file in (folder.study, folder.subject):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StudyError, match="has no row with scores yet; expected a study of which some trial has run"):
        clipsweep.compare([finished_study, tmp_path])


def test_a_task_that_the_paper_does_not_have_is_refused(finished_study: Path) -> None:
    with pytest.raises(
        StudyError, match=r"of task 'episodes', of which the paper has no numbers; expected one of agnews"
    ):
        clipsweep.compare(finished_study, published=True)


def test_a_comparison_is_drawn_by_either_library(finished_study: Path, searched: Path) -> None:
    comparison = clipsweep.compare([finished_study, searched])
    assert comparison.chart is not None
    assert [axes.get_title(loc="left") for axes in comparison.figure().axes] == [
        "Gain of the winner",
        "searched against s",
    ]
    assert comparison.figure("plotly").data


def test_without_a_curve_of_the_paper_there_is_nothing_to_draw(rte_study: Path, tmp_path: Path) -> None:
    comparison = clipsweep.compare(rte_study, published=True)
    assert comparison.chart is not None
    assert isinstance(comparison.found, BesidePaper)
    nothing = Comparison(found=BesidePaper(sides=comparison.found.sides, published=[]))
    with pytest.raises(StudyError, match="there is nothing to draw: the paper has no curve"):
        nothing.write(tmp_path / "paper.html")


def test_a_folder_with_nothing_but_rows_is_compared(finished_study: Path, tmp_path: Path) -> None:
    shutil.copytree(finished_study / "trials", tmp_path / "rows" / "trials")
    [pair] = clipsweep.compare([finished_study, tmp_path / "rows"]).document()["pairs"]
    assert pair["paired"]
    assert pair["same_trials"] == pair["points_in_common"] == 5
