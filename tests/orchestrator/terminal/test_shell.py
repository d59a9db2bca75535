import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipsweep.orchestrator.cli import app
from tests.conftest import as_before
from tests.orchestrator.commands.typed import runner


def clipsweep(*arguments: str, pipe: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, piped into another command."""
    command = f'"{sys.executable}" -m clipsweep "$@" {pipe}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, "bash", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # of a line that head has cut within a character
        check=False,
        env=os.environ | variables,
    )


def loud_handlers() -> int:
    return [type(handler).__name__ for handler in logging.getLogger().handlers].count("_Loud")


@pytest.mark.parametrize("arguments", [["-q", "run", "{}"], ["run", "{}", "--quiet"]])
def test_a_quiet_run_says_the_answer_alone(study_file: Path, tmp_path: Path, arguments: list[str]) -> None:
    filled = [each.format(study_file) for each in arguments]
    result = runner.invoke(app, [*filled, "--dir", str(tmp_path / "s")])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("winner")


def test_a_quiet_refusal_is_said_all_the_same(tmp_path: Path) -> None:
    result = runner.invoke(app, ["-q", "status", str(tmp_path)])
    assert (result.exit_code, result.stderr.startswith("error: ")) == (2, True)


def test_a_verbose_run_says_each_trial(study_file: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["run", str(study_file), "-v", "--dir", str(tmp_path / "s")])
    assert "mlp of layer 1 at clip rate 0.9, 2 shots, validation: complete in " in result.stderr


def test_a_command_line_in_a_test_changes_no_later_test(tmp_path: Path) -> None:
    before = dict(os.environ)
    with as_before():
        runner.invoke(app, ["-v", "list", str(tmp_path)])
        assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
    assert dict(os.environ) == before
    assert loud_handlers() == 0


def test_volume_is_of_one_call_alone(tmp_path: Path) -> None:
    runner.invoke(app, ["-q", "list", str(tmp_path)])
    assert runner.invoke(app, ["list", str(tmp_path)]).stderr != ""
    runner.invoke(app, ["-v", "list", str(tmp_path)])
    runner.invoke(app, ["list", str(tmp_path)])
    assert loud_handlers() == 0


def test_quiet_and_verbose_contradict_each_other(tmp_path: Path) -> None:
    for arguments in (["-q", "-v", "list"], ["-q", "run", "quickstart", "-v"]):
        result = runner.invoke(app, arguments)
        assert (result.exit_code, "contradict each other" in result.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["results", "--json"], ["results"], ["results", "--format", "csv"], ["schema"]])
def test_a_reader_that_has_seen_enough_is_no_error(finished_study: Path, command: list[str]) -> None:
    name, *options = command
    folder = [] if name == "schema" else [str(finished_study)]
    done = clipsweep(name, *folder, *options, pipe="| head -c 1")
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["best", "results", "status"])
def test_a_terminal_of_few_characters_shows_what_it_can(finished_study: Path, command: str) -> None:
    done = clipsweep(command, str(finished_study), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", [["init"], ["run"], ["results"], ["list"], ["model", "show"], ["task", "show"]])
def test_help_of_each_command_ends_with_an_example(command: list[str]) -> None:
    text = runner.invoke(app, [*command, "--help"], env={"COLUMNS": "80"}).stdout
    assert f"clipsweep {' '.join(command)}" in text[text.index("Examples:") :]
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.slow
def test_the_shell_completes_commands() -> None:
    done = clipsweep(_CLIPSWEEP_COMPLETE="complete_bash", COMP_WORDS="clipsweep r", COMP_CWORD="1")
    assert done.stdout.split() == ["run", "results", "report"]
