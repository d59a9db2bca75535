import pytest
from huggingface_hub import constants, errors

from clipsweep.trials.base.hub import hub_reason

DOWN = "Got: ConnectError: [Errno -2] Name or service not known\nAn error happened"


def test_offline_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub_reason(errors.LocalEntryNotFoundError("…")) == "HF_HUB_OFFLINE is set, and it was not downloaded before"


def test_a_network_that_is_down_is_told_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    said = hub_reason(
        errors.LocalEntryNotFoundError("Got: ConnectError: [Errno -2] Name or service not known\nAn error")
    )
    assert said == "the hub cannot be reached, and it was not downloaded before"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (errors.GatedRepoError, "hf auth login"),
        (errors.RepositoryNotFoundError, "there is none of that name, or it is private"),
        (errors.RevisionNotFoundError, "it has no such revision"),
    ],
)
def test_what_the_hub_says_is_told_in_a_few_words(kind: type[errors.HfHubHTTPError], words: str) -> None:
    httpx = pytest.importorskip("httpx2")  # what huggingface_hub speaks by
    response = httpx.Response(404, request=httpx.Request("GET", "https://hub.example"))
    assert words in hub_reason(kind("404 Client Error", response=response))
