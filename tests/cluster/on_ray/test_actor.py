import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipsweep.cluster.on_ray.actor import ReplicaActor
from clipsweep.cluster.replica_warnings import PACKAGE, WarningCollector, log_again, text_without_replica
from tests.cluster.pool_contract import replica_settings, save_fallback


@pytest.fixture
def package_logger() -> Iterator[logging.Logger]:
    """The logger above all of ours; handlers that the test adds are removed, as an actor's end with its process."""
    logger = logging.getLogger(PACKAGE)
    before = list(logger.handlers)
    yield logger
    logger.handlers[:] = before


def test_what_loading_warns_of_comes_with_the_first_answer_and_no_other(
    package_logger: logging.Logger, tmp_path: Path, cache: Path
) -> None:
    actor = ReplicaActor(replica_settings(save_fallback(tmp_path / "model"), cache)[0], "replica-7")
    first, second = actor.load(), actor.spectrum([])
    assert first.value["name"] == "replica-7"
    (warning,) = first.warnings
    assert warning.startswith("openai-gpt is run on full prompts, which is slower: ")
    assert second.warnings == ()


def test_only_warnings_and_errors_of_our_own_are_collected(package_logger: logging.Logger) -> None:
    collector = WarningCollector()
    package_logger.addHandler(collector)
    logging.getLogger("clipsweep.trials").info("a file was deleted")
    logging.getLogger("another").warning("not ours")
    logging.getLogger("clipsweep.trials").warning("%d is small", 3)
    logging.getLogger("clipsweep.cluster").error("this is worse")
    assert collector.take() == ("3 is small", "this is worse")


def test_a_text_logged_again_names_its_replica_and_is_known_without_it(caplog: pytest.LogCaptureFixture) -> None:
    log_again("replica-1", ("100 % of it is slow",))
    (record,) = caplog.records
    assert record.getMessage() == "replica-1: 100 % of it is slow"
    assert text_without_replica(record) == "100 % of it is slow"
