import os
from pathlib import Path

import pytest

from clipsweep.cluster.ray_cluster.admission import own_token, shown_token
from clipsweep.trials.base.errors import SpecError

NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without a token, and an empty home."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def seen() -> dict[str, str]:
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def test_each_ray_of_ours_has_a_token_of_its_own() -> None:
    with own_token():
        first = seen()
    with own_token():
        second = seen()
    assert first["RAY_AUTH_MODE"] == second["RAY_AUTH_MODE"] == "token"
    assert len(first["RAY_AUTH_TOKEN"]) == len(second["RAY_AUTH_TOKEN"]) == 64
    assert first["RAY_AUTH_TOKEN"] != second["RAY_AUTH_TOKEN"]


def test_the_environment_is_as_it_was_afterwards_even_where_ray_fails() -> None:
    with pytest.raises(RuntimeError), own_token():
        raise RuntimeError
    assert seen() == {}


def test_a_token_of_the_users_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    with own_token():
        assert seen() == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "mine"}
    assert seen() == {"RAY_AUTH_TOKEN": "mine"}


def test_a_file_of_the_users_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("mine\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with own_token():
        assert "RAY_AUTH_TOKEN" not in seen()
    assert shown_token(found_by_ray=True).token == "mine"


def test_who_switches_tokens_off_has_his_will(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with own_token():
        assert seen() == {"RAY_AUTH_MODE": "disabled"}


@pytest.mark.parametrize("content", ["", None])
def test_a_file_without_a_token_is_refused(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(SpecError, match=f"{tmp_path}/token.*(no such file|is empty)"), own_token():
        pass
    assert "RAY_AUTH_MODE" not in seen()


def test_ray_shows_no_token_to_an_address_unless_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    assert shown_token(found_by_ray=False).token is None
    assert shown_token(found_by_ray=True).token == "mine"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert shown_token(found_by_ray=False).token == "mine"


def test_the_token_that_ray_keeps_at_home_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    (tmp_path / "home" / ".ray").mkdir(parents=True)
    (tmp_path / "home" / ".ray" / "auth_token").write_text("kept")
    assert shown_token(found_by_ray=False).token == "kept"


def test_a_token_that_is_to_be_shown_and_cannot_be_found_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(SpecError, match="there is no token; expected one in RAY_AUTH_TOKEN"):
        shown_token(found_by_ray=False)
