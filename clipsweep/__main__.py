"""``python -m clipsweep``: the command line, also from a checkout that nobody has installed."""

from clipsweep.orchestrator.cli import app

if __name__ == "__main__":
    app(prog_name="clipsweep")
