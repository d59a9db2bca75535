import errno
import json
import os
import platform
from hashlib import sha256
from pathlib import Path

import pytest

from clipsweep.trials.base.files import file_hash, write_text

LARGE = 3 * 2**20  # more than what is read whole each time


def write(path: Path, content: bytes, moment: int = 315532800) -> Path:
    """A file with a time that says nothing, as archives and images leave it."""
    path.write_bytes(content)
    os.utime(path, (moment, moment))
    return path


def is_hash_of(answer: str, content: bytes) -> bool:
    return answer == sha256(content).hexdigest()


@pytest.fixture
def equal_stats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store in which the file of weights keeps its inode and its times, whatever is written."""
    found, stat = os.stat(write(tmp_path / "any", bytes(LARGE))), Path.stat
    monkeypatch.setattr(Path, "stat", lambda path: found if path.name == "weights" else stat(path))


@pytest.mark.parametrize("size", [100, LARGE])
def test_a_file_replaced_under_the_same_time_and_size_has_another_hash(size: int, tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "weights", bytes(size))
    before = file_hash(path, cache)
    write(path, b"\1" + bytes(size - 1))
    assert is_hash_of(before, bytes(size))
    assert is_hash_of(file_hash(path, cache), b"\1" + bytes(size - 1))


def test_a_file_put_in_the_place_of_another_has_its_own_hash(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "weights", bytes(LARGE))
    file_hash(path, cache)
    os.replace(write(tmp_path / "other", b"\1" * LARGE), path)
    assert is_hash_of(file_hash(path, cache), b"\1" * LARGE)


def test_a_link_turned_to_another_file_has_the_hash_of_that(tmp_path: Path, cache: Path) -> None:
    link = tmp_path / "link"
    for content in (bytes(LARGE), b"\1" * LARGE):
        link.unlink(missing_ok=True)
        link.symlink_to(write(tmp_path / f"{content[0]}", content))
        assert is_hash_of(file_hash(link, cache), content)


@pytest.mark.parametrize("place", [0, LARGE - 1, LARGE // 2])
def test_a_store_without_times_or_inodes_does_not_hide_another_content(
    equal_stats: None, place: int, tmp_path: Path, cache: Path
) -> None:
    file_hash(write(tmp_path / "weights", bytes(LARGE)), cache)
    other = bytes(place) + b"\1" * (LARGE - place)
    assert is_hash_of(file_hash(write(tmp_path / "weights", other), cache), other)


def test_only_verifying_sees_a_byte_between_samples_of_a_store_without_times(
    equal_stats: None, tmp_path: Path, cache: Path
) -> None:
    file_hash(write(tmp_path / "weights", bytes(LARGE)), cache)
    other = bytes(2**14) + b"\1" + bytes(LARGE - 2**14 - 1)  # the byte after the first block
    path = write(tmp_path / "weights", other)
    assert is_hash_of(file_hash(path, cache), bytes(LARGE))
    assert is_hash_of(file_hash(path, cache, verify=True), other)
    assert is_hash_of(file_hash(path, cache), other)


def test_a_note_of_another_machine_says_nothing_of_this_ones_file(
    equal_stats: None, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_hash(write(tmp_path / "weights", bytes(LARGE)), cache)
    monkeypatch.setattr(platform, "node", lambda: "another")
    other = bytes(2**14) + b"\1" + bytes(LARGE - 2**14 - 1)
    assert is_hash_of(file_hash(write(tmp_path / "weights", other), cache), other)


def test_a_large_file_that_nobody_touched_is_not_read_again(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "weights", bytes(LARGE))
    file_hash(path, cache)
    [note] = (cache / "hashes").iterdir()
    written = note.stat().st_mtime_ns
    file_hash(path, cache)
    assert note.stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"content": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_note_is_not_believed(damage: bytes, tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "weights", bytes(LARGE))
    file_hash(path, cache)
    [note] = (cache / "hashes").iterdir()
    note.write_bytes(damage)
    assert is_hash_of(file_hash(path, cache), bytes(LARGE))


def test_a_note_that_was_changed_is_not_believed(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "weights", bytes(LARGE))
    file_hash(path, cache)
    [note] = (cache / "hashes").iterdir()
    changed = json.loads(note.read_text())
    changed["content"]["sha256"] = "0" * 64
    note.write_text(json.dumps(changed))
    assert is_hash_of(file_hash(path, cache), bytes(LARGE))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed to disk and put into place from now on, by name and in order."""
    seen: list[str] = []
    sync, replace = os.fsync, os.replace

    def watch_sync(opened: int) -> None:
        seen.append(f"sync {Path(os.readlink(f'/proc/self/fd/{opened}')).name.partition('-')[0]}")
        sync(opened)

    def watch_replace(draft: Path, path: Path) -> None:
        seen.append(f"replace {path.name}")
        replace(draft, path)

    monkeypatch.setattr(os, "fsync", watch_sync)
    monkeypatch.setattr(os, "replace", watch_replace)
    return seen


def test_a_file_and_its_name_are_on_disk_when_it_has_been_written(tmp_path: Path, calls: list[str]) -> None:
    write_text(tmp_path / "a", "1")
    assert calls == ["sync .draft", "replace a", f"sync {tmp_path.name.partition('-')[0]}"]


def test_folders_that_are_made_for_a_file_are_on_disk_too(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "top").mkdir()
    write_text(tmp_path / "top" / "middle" / "low" / "a", "1")
    assert sorted(calls[:2]) == ["sync middle", "sync top"]
    assert calls[2:] == ["sync .draft", "replace a", "sync low"]


def refuse_folders(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let a flush of a folder fail, as some file systems do."""
    sync = os.fsync

    def refuse(opened: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{opened}"):
            raise OSError(number, os.strerror(number))
        sync(opened)

    monkeypatch.setattr(os, "fsync", refuse)


def test_a_file_system_that_cannot_flush_folders_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_folders(monkeypatch, errno.EINVAL)
    write_text(tmp_path / "new" / "a", "1")
    assert (tmp_path / "new" / "a").read_text() == "1"


def test_a_disk_that_fails_as_a_folder_is_flushed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_folders(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as told:
        write_text(tmp_path / "a", "1")
    assert told.value.filename == str(tmp_path)
