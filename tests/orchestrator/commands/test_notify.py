"""Telling an address that a study has ended, on a real server of this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.status.notify import check_address, post
from clipsweep.trials.base.errors import SpecError
from tests.orchestrator.commands.typed import runner

SECRET = "t0ken"


class Server:
    """Listens on loopback and keeps what is posted; answers with a status of the test's choice."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.received.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.send_response(server.status)
                self.send_header("Location", f"/elsewhere/{SECRET}")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the name that http.server asks for

            def log_message(self, *arguments: Any) -> None: ...

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hooks/{SECRET}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever)
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def test_a_study_that_ends_is_posted_once_and_its_address_is_kept_nowhere(
    server: Server, study_file: Path, tmp_path: Path
) -> None:
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s"), "--notify", server.url])
    assert result.exit_code == 0, result.output
    [(path, kind, document)] = server.received
    assert (path, kind) == (f"/hooks/{SECRET}", "application/json")
    assert {key: document[key] for key in ("study", "dir", "state", "failed", "error")} == {
        "study": "tiny", "dir": str(tmp_path / "s"), "state": "done", "failed": 0, "error": None,
    }  # fmt: skip
    assert document["done"] == document["total"]
    assert {"shots", "clips", "metric", "score", "gain"} <= document["best"].keys()
    assert SECRET not in result.output
    texts = [each for each in (tmp_path / "s").rglob("*") if each.is_file()]
    assert not any(SECRET.encode() in each.read_bytes() for each in texts)


def test_a_study_that_ends_with_an_error_is_posted_with_it(server: Server, study_file: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file")
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s"), "--notify", server.url])
    assert result.exit_code == 2
    [(_, _, document)] = server.received
    assert (document["state"], document["best"]) == ("crashed", None)
    assert document["error"] in " ".join(result.stderr.split())


def test_a_post_that_is_refused_is_a_warning_and_changes_no_exit_code(
    server: Server, study_file: Path, tmp_path: Path
) -> None:
    server.status = 302  # not followed: the study would be told to another address
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s"), "--notify", server.url])
    assert (result.exit_code, len(server.received)) == (0, 1)
    assert "warning: nobody could be told that tiny has ended: it answered with status 302" in result.stderr
    assert SECRET not in result.output


def test_each_study_of_a_command_is_posted(
    server: Server, make_study: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    content = make_study(space={"layers": [1], "clip_rates": [0.5]})
    del content["task"]["name"], content["task"]["seed"]
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(content | {"tasks": ["episodes", "topics"]}))
    given = ["run", str(tmp_path / "two.yaml"), "--dir", str(tmp_path / "s"), "--notify", server.url]
    result = runner.invoke(app, given)
    assert result.exit_code == 0, result.output
    assert [document["study"] for _, _, document in server.received] == ["tiny-episodes", "tiny-topics"]


def test_where_nothing_listens_the_reason_is_told() -> None:
    assert post("http://127.0.0.1:9/", {}) == "Connection refused"


@pytest.mark.parametrize(
    "url",
    ["ftp://a/t0ken", "file:///t0ken", "t0ken", "http://", "http://a:t0ken/", "https://me:t0ken@a/", "http://a b/"],
)
def test_an_address_that_cannot_be_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SpecError, match="--notify") as caught:
        check_address(url)
    assert SECRET not in str(caught.value)


def test_a_wrong_address_is_refused_before_anything_runs(study_file: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s"), "--notify", "ftp://a/t0ken"])
    assert result.exit_code == 2
    assert SECRET not in result.output
    assert not (tmp_path / "s").exists()
