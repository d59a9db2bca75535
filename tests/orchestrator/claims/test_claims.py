import errno
import os
from pathlib import Path

import pytest

from clipsweep.orchestrator.claims.claims import Claim, Claims, beat_seconds
from clipsweep.trials.base.errors import SpecError

STRANGE = (
    b'{"process": {"pid": 1e30, "host": 1, "boot": 1, "namespace": 1, "started": 1}, "since": 1, "beat_seconds": 5}'
)


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(tmp_path / "claims")


@pytest.fixture(params=["links", "no links"])
def any_claims(request: pytest.FixtureRequest, claims: Claims, monkeypatch: pytest.MonkeyPatch) -> Claims:
    """Claims on a file system with links, and on one without."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)
    return claims


def test_the_highest_number_is_the_newest_claim(any_claims: Claims) -> None:
    assert any_claims.newest() is None
    assert all(any_claims.make(Claim.new(number)) for number in (3, 4, 10))
    newest = any_claims.newest()
    assert newest is not None
    assert (newest.number, newest.released, newest.process) == (10, False, Claim.new(10).process)


def test_a_number_is_made_once(any_claims: Claims) -> None:
    assert any_claims.make(Claim.new(1))
    assert not any_claims.make(Claim.new(1))


def test_a_number_below_the_newest_holds_nothing(any_claims: Claims) -> None:
    any_claims.make(Claim.new(5))
    assert not any_claims.make(Claim.new(4))


def test_a_link_whose_answer_was_lost_was_made(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def ask_twice(source: Path, target: Path) -> None:  # as the client of a network's file system does
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", ask_twice)
    assert claims.make(Claim.new(1))


def test_nothing_but_the_claim_is_left_of_making_it(any_claims: Claims, tmp_path: Path) -> None:
    any_claims.make(Claim.new(1))
    any_claims.make(Claim.new(1))
    any_claims.newest_number()
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["00000001.json"]


def test_a_released_claim_says_so(claims: Claims) -> None:
    claims.make(Claim.new(1))
    claims.release(1)
    newest = claims.newest()
    assert newest is not None
    assert newest.released


def test_a_claim_that_is_gone_is_not_made_anew_to_be_released(claims: Claims, tmp_path: Path) -> None:
    claims.release(1)
    assert not (tmp_path / "claims").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\x00", b"[1]", b'{"process": null}', b'{"process": {"pid": 1}}', STRANGE]
)
def test_a_torn_claim_holds_all_the_same(claims: Claims, tmp_path: Path, content: bytes) -> None:
    claims.make(Claim.new(2))
    (tmp_path / "claims" / "00000002.json").write_bytes(content)
    newest = claims.newest()
    assert newest is not None
    assert (newest.number, newest.process, newest.released) == (2, None, False)


def test_older_claims_are_removed_with_their_beats_and_the_newest_stays(claims: Claims, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        claims.make(Claim.new(number))
        claims.beat_path(number).touch()
    claims.remove_below(3)
    assert sorted(path.name for path in (tmp_path / "claims").iterdir()) == ["00000003.beat", "00000003.json"]


def test_a_folder_that_was_claimed_since_stays(claims: Claims) -> None:
    claims.make(Claim.new(1))
    claims.make(Claim.new(2))
    claims.remove_all(1)
    newest = claims.newest()
    assert newest is not None
    assert newest.number == 2


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_an_impossible_time_between_beats_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSWEEP_BEAT_SECONDS", text)
    with pytest.raises(SpecError, match=f"CLIPSWEEP_BEAT_SECONDS is '{text}'; expected a positive number of seconds"):
        beat_seconds()
