"""Tests have the same names wherever they are collected: processes that share them out must agree."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.test_structure import ROOT


@pytest.mark.slow
def test_tests_have_the_same_names_in_another_process_a_moment_later(request: pytest.FixtureRequest) -> None:
    """A value that holds a time or a random number must not end up in a name."""
    files = sorted({str(item.path.relative_to(ROOT)) for item in request.session.items})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", *files]
    again = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "1"}, capture_output=True, text=True, check=True
    )
    here = {item.nodeid.removesuffix("@ray") for item in request.session.items}  # as xdist marks its group
    assert here - set(again.stdout.splitlines()) == set()
