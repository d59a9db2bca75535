"""What the documentation shows runs as it stands."""

import re
from pathlib import Path

import pytest

HOWTO = Path(__file__).parent.parent / "docs" / "howto.md"


def code_of(section: str) -> str:
    """The Python of a section, its blocks one after the other."""
    text = HOWTO.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


@pytest.mark.slow
def test_the_section_on_python_runs(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code_of("From Python"), str(HOWTO), "exec"), {})
    assert (tmp_path / "small.html").is_file()
    assert capsys.readouterr().out.startswith("winner ")


def test_every_test_that_the_page_of_faults_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+?)(?:\.py)?`", (HOWTO.parent / "faults.md").read_text(encoding="utf-8")))
    files = list(HOWTO.parent.parent.glob("tests/**/test_*.py"))
    functions = {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))}
    assert named - functions - {path.stem for path in files} == set()
