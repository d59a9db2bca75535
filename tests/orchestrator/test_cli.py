from pathlib import Path

import clipsweep
from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import runner


def test_version_names_ours_where_it_lies_and_what_it_runs_on() -> None:
    result = runner.invoke(app, ["--version"])
    first, second = result.stdout.splitlines()
    assert first == f"clipsweep {clipsweep.__version__} from {Path(clipsweep.__file__).parent}"
    assert all(name in second for name in ("python 3.", "torch ", "transformers ", "ray "))
    assert result.exit_code == 0
