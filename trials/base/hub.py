"""Names of the Hugging Face hub, and why it does not give what they stand for."""

from __future__ import annotations

import re

from clipsweep.trials.base.errors import first_line

HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def hub_reason(error: Exception) -> str:
    """Why the hub did not give something, in a few words; its own fill a screen, and hold numbers of the system.

    Args:
        error: As huggingface_hub raised it.
    """
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return "its owner gives it on request; ask for it on its page, then run 'hf auth login'"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is none of that name, or it is private"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, and it was not downloaded before"
    if isinstance(error, errors.LocalEntryNotFoundError | ConnectionError | TimeoutError):
        return "the hub cannot be reached, and it was not downloaded before"
    return first_line(error)
