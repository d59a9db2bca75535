"""A process that has loaded all that a command needs, and runs each command in a fork of itself.

Loading torch and the rest takes seconds, a fork takes milliseconds. The loaded process has one thread and has opened
no study, so that a fork is what a fresh process would be after its imports. ``WarmProcess`` is its other end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NoReturn

FORKED_WELL = {"jemalloc_bg_thd"}  # of pyarrow's allocator, which looks after it in a fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command to run in a fork.

    Attributes:
        arguments: What a user types after ``clipsweep``.
        cache: The cache folder.
        said: Where its standard output goes; its standard error goes beside it, as ``.err``.
        gate: A named pipe; the command begins when another process has opened and closed it. None to begin at once.
        modules: Where to write the names of all modules that are loaded when the command ends; None for nowhere.
        environment: Variables beside those of this process.
        flush_s: How often rows are put on disk; with 0 every row is, so that 20 trials take as many steps as 1,000.
    """

    arguments: Sequence[str]
    cache: Path
    said: Path
    gate: Path | None = None
    modules: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    flush_s: float = 0.0

    def as_json(self) -> str:
        """One line, as the loaded process reads it."""
        paths = {
            name: None if path is None else str(path) for name, path in (("gate", self.gate), ("modules", self.modules))
        }
        environment = {**self.environment, "CLIPSWEEP_CACHE": str(self.cache)}
        plain = {"arguments": list(self.arguments), "said": str(self.said), "flush_s": self.flush_s}
        return json.dumps({**plain, **paths, "environment": environment})

    def errors(self) -> str:
        """What it has said on standard error."""
        return Path(f"{self.said}.err").read_text(encoding="utf-8", errors="replace")


class WarmProcess:
    """A loaded process; one job at a time."""

    def __init__(self, modules: Path) -> None:
        """Start it and have it load these modules, one name in a line; the file may be missing."""
        self._command = [sys.executable, "-m", "tests.chaos.tools.warm", str(modules)]
        self._process = self._load()

    def _load(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the process could not load what it needs; it says why above"
        return process

    def restart(self) -> None:
        """End it with the job that it may still have, and start another in its place."""
        self.end()
        self._process = self._load()

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def start(self, job: Job) -> int:
        """Begin a job; gives its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{job.as_json()}\n".encode())
        return int(self._read())

    def wait(self) -> int:
        """Wait for the job that was begun; its exit code, negative for a signal."""
        return int(self._read())

    def ended(self, timeout_s: float) -> bool:
        """Whether the job that was begun has ended, or ends in time; ``wait`` then gives its exit code at once."""
        output = self._process.stdout
        assert output is not None
        return bool(select.select([output.fileno()], [], [], timeout_s)[0])

    def run(self, job: Job) -> int:
        """Run a job to its end; its exit code."""
        self.start(job)
        return self.wait()

    def __enter__(self) -> WarmProcess:
        """The process."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End it."""
        self.end()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()


def serve(modules: Path) -> None:
    """Load, then fork for each job that standard input names, and say its process id and its exit code."""
    names = modules.read_text(encoding="utf-8").split() if modules.is_file() else []
    for name in names:
        with contextlib.suppress(ImportError):  # of a module that a library made under a name of its own
            importlib.import_module(name)
    threads = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
    assert len(threads - FORKED_WELL) == 1, f"a process with threads ({threads}) cannot be forked"
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(
    *,
    arguments: list[str],
    said: str,
    environment: dict[str, str],
    flush_s: float,
    gate: str | None,
    modules: str | None,
) -> NoReturn:
    """Be the command line from here on, in a session of its own, as what a shell starts is in a group of its own."""
    os.setsid()
    os.environ.update(environment)
    for descriptor, path in ((0, os.devnull), (1, said), (2, f"{said}.err")):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), descriptor)
    if gate is not None:
        Path(gate).read_bytes()
    code = _run(arguments, flush_s)
    if modules is not None:
        specs = [(name, getattr(module, "__spec__", None)) for name, module in list(sys.modules.items())]
        of_files = [name for name, spec in specs if spec is not None and spec.has_location]
        Path(modules).write_text("\n".join(of_files), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(arguments: list[str], flush_s: float) -> int:
    """Run the command line; its exit code."""
    from clipsweep.__main__ import main
    from clipsweep.orchestrator.folder import ledger

    ledger.FLUSH_SECONDS = flush_s
    sys.argv = ["clipsweep", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException:  # as Python itself does at the top of a process
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
