"""``clipsweep``, and ``python -m clipsweep``: the command line, also from a checkout that nobody has installed."""

import os
import sys

from clipsweep.orchestrator.run.interrupt import INTERRUPTED, hear_from_the_start
from clipsweep.trials.base.loading import nothing_collected


def main() -> None:
    """Run the command line. Ctrl-C ends it with one line and exit code 130, from the first moment on."""
    hear_from_the_start()
    with nothing_collected():
        from clipsweep.orchestrator.cli import app  # here, once Ctrl-C is heard

    try:
        app(prog_name="clipsweep")
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Ray, cut off while it starts, may crash when Python takes itself down
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise


if __name__ == "__main__":
    main()
