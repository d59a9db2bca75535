"""What the documentation shows runs as it stands."""

import re
import shlex
import shutil
import textwrap
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import clipsweep
from clipsweep.analysis.figures.catalogue import FIGURES
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from tests.documents import DOCS, ROOT, commands_of, python_of, text_of

HOWTO = DOCS / "howto"


def test_the_flips_that_are_shown_are_those_that_are_printed(cache: Path) -> None:
    shown = re.search(r"^    trial .*?(?=\n\n- )", text_of("Which examples flip"), re.M | re.S)
    assert shown is not None
    folder = ROOT / "tests" / "fixtures" / "schema-5"
    printed = CliRunner().invoke(app, ["flips", str(folder)]).stdout
    assert printed.startswith(textwrap.dedent(shown[0]))


@pytest.mark.slow
def test_the_section_on_python_runs(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(python_of(HOWTO / "python.md"), "python.md", "exec"), {})
    assert (tmp_path / "small.html").is_file()
    assert capsys.readouterr().out.startswith("winner ")


@pytest.mark.slow
def test_the_section_on_taking_the_winner_home_runs(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in commands_of(HOWTO / "apply.md"):
        _, *arguments = shlex.split(command)
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    exec(compile(python_of(HOWTO / "apply.md"), "apply.md", "exec"), {})
    assert capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= {"layers-clipped", "layers-thin", "by-hand"}


@pytest.mark.slow
def test_the_page_on_singular_values_runs(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests" / "fixtures" / "schema-5", "DIR")
    for command in commands_of(HOWTO / "spectra.md"):
        _, *arguments = shlex.split(command.replace("MODEL", "embedded"))
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} >= {"embedded-spectrum.html", "gpt-j.html", "spectrum.parquet"}
    assert {path.stem for path in (tmp_path / "DIR" / "figures").iterdir()} >= {"figure3", "spectra"}


@pytest.mark.slow
def test_the_page_on_figures_runs(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests" / "fixtures" / "schema-5", "DIR")
    for command in commands_of(HOWTO / "figures.md"):
        _, *arguments = shlex.split(command)
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    exec(compile(python_of(HOWTO / "figures.md"), "figures.md", "exec"), {})
    assert {path.name for path in (tmp_path / "DIR" / "figures").iterdir()} >= {
        "atlas.svg",
        "captions.md",
        "figure1.pdf",
    }
    assert {path.name for path in (tmp_path / "paper").iterdir()} >= {"atlas.svg", "figure1.svg"}
    assert {path.name for path in tmp_path.iterdir()} >= {"atlas.pdf", "figure1.html"}


def test_the_page_on_figures_names_them_all() -> None:
    text = (HOWTO / "figures.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)`", text, re.M) != []
    assert set(re.findall(r"^\| `([\w-]+)`", text, re.M)) == set(FIGURES)


@pytest.mark.slow
def test_the_readme_takes_the_winner_home(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests" / "fixtures" / "schema-5", "studies/quickstart")
    (typed,) = re.findall(r"```sh\n.venv/bin/clipsweep (.*)\n```", readme)
    result = CliRunner().invoke(app, shlex.split(typed))
    assert result.exit_code == 0, result.output
    shutil.rmtree("better")  # of a small study; the demo's own winner takes half a minute to find
    clips = [f"--clip=layer={layer},module=mlp,clip_rate=0.95" for layer in range(4)]
    assert CliRunner().invoke(app, ["apply", "--model", "embedded", *clips, "-o", "better"]).exit_code == 0
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.rstrip().endswith(" NORTH")


def blocks_of_study_files() -> list[str]:
    """The YAML of docs that holds keys of a study file, all or some."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))]
    blocks = [block for text in texts for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    return [block for block in blocks if set(yaml.safe_load(block)) <= set(Study.model_fields)]


def test_the_study_files_that_are_shown_are_accepted() -> None:
    blocks = blocks_of_study_files()
    assert len(blocks) > 5
    for block in blocks:
        shown = yaml.safe_load(block)
        check_study({"name": "shown", "model": {"path": "embedded"}, "task": {"name": "episodes"}} | shown)


def test_the_citation_names_this_version_and_both_papers() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", clipsweep.__version__)
    assert {"message", "title", "authors"} < citation.keys()
    papers = [each["identifiers"][0]["value"] for each in citation["references"]]
    assert papers == ["arXiv:2406.03768", "arXiv:2312.13558"]


@pytest.mark.parametrize("path", sorted(DOCS.glob("gemma/*.yaml")), ids=lambda path: path.stem)
def test_the_study_files_of_the_real_model_are_accepted(path: Path) -> None:
    (study,) = read_studies(str(path))
    assert study.name == f"gemma-{path.stem}"


def test_every_test_that_the_page_of_faults_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+?)(?:\.py)?`", (DOCS / "faults.md").read_text(encoding="utf-8")))
    files = list(ROOT.glob("tests/**/test_*.py"))
    functions = {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))}
    assert named - functions - {path.stem for path in files} == set()
