import pytest

from clipsweep.trials.base.errors import PlaceError, StudyError
from clipsweep.trials.base.passwords import fill_variables, has_hidden, hide_password, hide_passwords

SHOWN = {
    "postgresql://user:s3cret@host/db": "postgresql://user:***@host/db",
    "mysql+pymysql://u:p%40s3cret@host:3306/db?x=1": "mysql+pymysql://u:***@host:3306/db?x=1",
    "postgresql://u:s3@cret/x@host/db": "postgresql://u:***@host/db",
    "redis://:s3cret@host:6379/0": "redis://:***@host:6379/0",
    "sqlite:///x.db?token=s3cret&y=2": "sqlite:///x.db?token=***&y=2",
    "(failed) 'ray://me:s3cret@head:10001' does not answer": "(failed) 'ray://me:***@head:10001' does not answer",
    "postgresql://user:${PASSWORD}@host/db": "postgresql://user:${PASSWORD}@host/db",
    "https://hf_s3cret@host/models/x": "https://***@host/models/x",
    "https://${TOKEN}@host/x": "https://${TOKEN}@host/x",
    "postgresql://user@host/db": "postgresql://user@host/db",  # a name, which is no password
    "postgresql://host/db?options=-c%20password%3Ds3cret&x=1": "postgresql://host/db?options=-c%20password%3D***&x=1",
    "postgresql://host/db?options=password%3ds3cret": "postgresql://host/db?options=password%3d***",
    "https://host/a@b": "https://host/a@b",
    "http://localhost:8265/x": "http://localhost:8265/x",
    "/data/a:b@c": "/data/a:b@c",
}


@pytest.mark.parametrize("text", SHOWN)
def test_the_password_of_an_address_is_hidden_and_nothing_else(text: str) -> None:
    assert hide_password(text) == SHOWN[text]


def test_passwords_are_hidden_in_lists_and_mappings() -> None:
    assert hide_passwords({"a": ["x://u:s@h"], "b": 3, "c": None}) == {"a": ["x://u:***@h"], "b": 3, "c": None}


def test_what_was_hidden_is_known_to_be() -> None:
    assert has_hidden("x://u:***@h")
    assert has_hidden("https://***@h")
    assert not has_hidden("x://u@h")


def test_variables_are_filled_and_missing_ones_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "s3cret")
    monkeypatch.delenv("OTHER", raising=False)
    assert fill_variables("x://u:${WORD}@h") == ("x://u:s3cret@h", [])
    assert fill_variables("x://u:${OTHER}@h") == ("x://u:${OTHER}@h", ["OTHER"])


@pytest.mark.parametrize("kind", [StudyError, PlaceError])
def test_no_error_of_ours_tells_a_password(kind: type[Exception]) -> None:
    assert "s3cret" not in str(kind("no database at postgresql://user:s3cret@host/db"))
