"""A command as a user types it, in this process."""

import json
from typing import Any

from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app

runner = CliRunner()


def json_of(*arguments: str) -> Any:
    result = runner.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
