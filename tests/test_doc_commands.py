"""What the documentation shows runs, commands and Python, page by page, on small stand-ins for what a reader has.

``STAND_INS`` says what a name in a page becomes here, ``NOT_RUN`` which commands are not run, and why.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import clipsweep
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.plan import speed
from clipsweep.orchestrator.run import session
from tests.conftest import tiny_study, write_rows
from tests.documents import DOCS, ROOT, commands_of, python_of
from tests.trials.laser_rows import write_laser

STAND_INS = {
    "EleutherAI/gpt-j-6b": "my-model",  # a download
    "microsoft/phi-3-mini-4k-instruct": "my-model",
    "MODEL": "embedded",
    "PATH": "my-model",
    "studies/gptj-sst2": "studies/quickstart",
    "/shared/my-study": "shared-study",
}
SMALLER = {  # keys that are set besides, so that it takes seconds
    "first.yaml": ["--set", "task.validation_size=20", "--set", "task.test_size=20"],
    "theory.yaml": ["--set", "task.validation_size=20", "--set", "task.test_size=0", "--set", "space.layers=[0,2,4]"],
    "own.yaml": ["--set", "task.validation_size=100", "--set", "task.test_size=20", "--set", "space.layers=1"],
}
WHOLE = {"clipsweep init": "clipsweep init new.yaml"}  # a study.yaml is there
# keys of study.yaml, by page
SETTINGS: dict[str, dict[str, Any]] = {"search": {"search": {"driver": "bayes", "n_trials": 2}}}
NOT_RUN = {
    'python -c "from gemma3': "a model of 1 GB; run by hand, its log stands on the page, as for the next",
    "python docs/gemma/convert.py": "the same",
    "clipsweep model show gemma-3-270m": "the same",
    "clipsweep evaluate gemma-3-270m": "the same",
    "clipsweep run copa.yaml": "the same",
    "clipsweep run sst2.yaml": "the same; the file is held by tests/test_docs.py",
    "clipsweep figures studies/gemma-sst2": "the same",
    "make ": "`make` itself is tried by whoever runs this test; its lines are clipsweep's and pytest's",
    "pip install": "downloads",
    "export ": "the variables of a cluster",
    "optuna-dashboard": "another program, which waits for a browser",
    "cp -r": "run by tests/cluster/launch/test_files.py",
    "python -m tests.": "minutes or hours, or a GPU",
    "python -m clipsweep.trials.theory.regression.figure5": "minutes; a tiny size is run by its tests",
    "python -m clipsweep.analysis.figures.regression.draw": "the same; run by its tests",
    "clipsweep task show sst2": "downloads the rows; run by tests/trials/tasks on a folder",
    "clipsweep task show --lm-eval hellaswag": "downloads the documents",
    "clipsweep run hellaswag.yaml": "downloads the documents, and GPT-J",
    "clipsweep evaluate clipped --task sst2 --against": "downloads the rows",
    ".venv/bin/clipsweep run quickstart": "half a minute and Ray; replayed by tests/benchmarks/test_surfaces.py",
    "clipsweep run study.yaml --address": "needs a cluster; run by tests/cluster/on_ray and `make launch-test`",
    "clipsweep run study.yaml --set cluster.gpus_per_replica=4": "needs four GPUs",
    "clipsweep run study.yaml --notify": "posts to a server; run by tests/orchestrator/run",
    "clipsweep run laser": "rows of FEVER and GPT-J's config; run by tests/orchestrator/run/test_laser.py",
    "clipsweep theory studies/my-grid": "needs a study that asked for it; run on the page of the theory",
    "clipsweep run figure1": "rows of RTE and GPT-J's config; run by tests/benchmarks/test_costs.py",
}
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
OF_TEST_DOCS = {"apply.md", "figures.md", "python.md", "spectra.md"}  # pages that tests/test_docs.py runs


def runs_here(command: str) -> bool:
    return "my-rows" in command or not f"{command} ".startswith(tuple(NOT_RUN))


def arguments_of(command: str) -> list[str]:
    """What is typed after `clipsweep`, with stand-ins; what runs does so in this process."""
    arguments = [STAND_INS.get(word, word) for word in shlex.split(WHOLE.get(command, command))[1:]]
    if arguments[0] != "run":
        return arguments
    return [*arguments, *SMALLER.get(arguments[1], []), *([] if "--dry-run" in arguments else ["--replicas", "0"])]


@pytest.fixture
def playground(
    tmp_path: Path, tiny_gptj: Path, finished_study: Path, rte_study: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with what the pages speak of: a model, rows, and a study that has run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "_write_report", lambda *_: None)  # takes a second; `report` writes it
    monkeypatch.setattr(speed, "MEASURED_SECONDS", 0.01)
    shutil.copytree(ROOT / "tests" / "fixtures" / "schema-5", "studies/quickstart")
    rows = [{"sentence": f"film {n} was dull {n}", "label": n % 2} for n in range(2000)]
    write_rows(tmp_path / "my-rows" / "train.jsonl", rows)
    tickets = [{"subject": f"film {n}", "body": f"dull {n}", "team": ("billing", "login")[n % 2]} for n in range(800)]
    write_rows(tmp_path / "tickets" / "train.jsonl", tickets[:700])
    write_rows(tmp_path / "tickets" / "test.jsonl", tickets[700:])
    write_laser(tmp_path / "laser" / "fever", "fever")
    cities = [{"country": f"north {n}", "cities": [f"harbor {n}", "old pier"], "right": n % 2} for n in range(20)]
    write_rows(tmp_path / "harness" / "capitals.jsonl", cities)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    Path("my-texts").mkdir()
    for number in range(60):
        Path("my-texts", f"{number}.txt").write_text(f"film {number} was dull. " * 40)
    Path("my-model").symlink_to(tiny_gptj)
    Path("DIR").symlink_to("studies/quickstart")
    Path("studies/my-grid").symlink_to(finished_study)
    Path("studies/grid").symlink_to(finished_study)
    Path("studies/bayes").symlink_to("quickstart")
    Path("studies/my-rte").symlink_to(rte_study)
    return tmp_path


def write_files_of(page: Path) -> None:
    """Write a study.yaml for the page, and the files that it shows: blocks of YAML that begin with their name."""
    study = tiny_study(Path("my-model").resolve(), **SETTINGS.get(page.stem, {}))
    Path("study.yaml").write_text(yaml.safe_dump(study))
    text = page.read_text(encoding="utf-8")
    for name, content in re.findall(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```", text, re.M | re.S):
        if not Path(name).exists():
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(content, encoding="utf-8")


def shown_labels(page: Path) -> list[str]:
    """The words with which the lines of output in the tutorial begin."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return re.findall(r"^(\w+)  ", "".join(blocks), re.M) if page.stem == "tutorial" else []


RUNNABLE = [
    page
    for page in PAGES
    if page.name not in OF_TEST_DOCS and (python_of(page) or any(map(runs_here, commands_of(page))))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, playground: Path) -> None:
    write_files_of(page)
    printed = ""
    for command in filter(runs_here, commands_of(page)):
        result = CliRunner().invoke(app, arguments_of(command))
        assert result.exit_code == 0, f"{command}\n{result.output}"
        printed += result.output
    assert {*shown_labels(page)} <= {*re.findall(r"^(\w+) ", printed, re.M)}
    exec(compile(python_of(page), page.name, "exec"), {"clipsweep": clipsweep})


def test_what_is_not_run_is_shown_somewhere() -> None:
    shown = [f"{command} " for page in [*PAGES, ROOT / "CONTRIBUTING.md"] for command in commands_of(page)]
    assert [beginning for beginning in NOT_RUN if not any(each.startswith(beginning) for each in shown)] == []
