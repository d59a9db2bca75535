import json
from pathlib import Path

import pytest

from clipsweep.analysis.figures.regression import draw
from tests.analysis.figures.regression.numbers import make_numbers


def test_the_command_writes_a_file_for_each_chart_and_each_table(tmp_path: Path) -> None:
    (tmp_path / "figure5.json").write_text(json.dumps(make_numbers()))
    draw.main([str(tmp_path / "figure5.json"), "--out", str(tmp_path / "drawn")])
    written = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    charts = ["figure5-atlas.svg", "figure5-clips.svg", "figure5.svg"]
    assert written == sorted([*charts, "figure5-clips.md", "figure5-errors.md"])
    assert "<svg" in (tmp_path / "drawn/figure5.svg").read_text()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("torn {", "cannot be read"), ("{}", "has no numbers of Figure 5")]
)
def test_another_file_is_refused(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "figure5.json").write_text(content)
    with pytest.raises(SystemExit):
        draw.main([str(tmp_path / "figure5.json"), "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert words in " ".join(said.split())
    assert "expected the figure5.json" in " ".join(said.split())
