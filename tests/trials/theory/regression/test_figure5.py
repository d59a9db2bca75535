import json
from pathlib import Path
from shutil import copytree

import pytest

from clipsweep.trials.theory.regression import figure5
from clipsweep.trials.theory.regression.settings import SIZES
from tests.trials.theory.regression.tiny import TINY


def test_the_command_writes_all_numbers_of_a_size(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SIZES, "tiny", TINY)
    copytree(trained, tmp_path / "out")
    figure5.main(["--size", "tiny", "--out", str(tmp_path / "out")])
    numbers = json.loads((tmp_path / "out/figure5.json").read_text())
    assert (numbers["size"], numbers["seed"], numbers["settings"]["width"]) == ("tiny", 0, 32)
    assert [found["step"] for found in numbers["checkpoints"]] == [10, 200]
    assert [len(found["clips"]) for found in numbers["checkpoints"]] == [0, 2 * 8 * 6]
    assert numbers["training_seconds"] > 0
    assert "goes on from the checkpoint after 200 steps" in capsys.readouterr().out


def test_an_unknown_size_is_refused_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        figure5.main(["--size", "larger", "--out", str(tmp_path / "out")])
    assert "no size 'larger'; known: full, small" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_checkpoints_of_another_seed_are_refused_in_words(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SIZES, "tiny", TINY)
    with pytest.raises(SystemExit):
        figure5.main(["--size", "tiny", "--seed", "1", "--out", str(trained)])
    assert "expected seed 1" in capsys.readouterr().err
