"""Find a checkpoint: from its name to a local folder of safetensors files."""

from __future__ import annotations

from pathlib import Path

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.hub import HUB_NAME, hub_reason
from clipsweep.trials.checkpoint.config_file import check_config_file, check_not_quantised
from clipsweep.trials.checkpoint.pickled import converted, pickled_files
from clipsweep.trials.checkpoint.read import reading
from clipsweep.trials.checkpoint.weight_files import FACTORED_MANIFEST, TEXT_FILES, weight_files
from clipsweep.trials.models.settings import ModelSettings

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"


def find_checkpoint(settings: ModelSettings, cache: Path, *, verify_hashes: bool = False) -> Path:
    """Resolve a model's name to a local folder of safetensors files; a hub name is downloaded, a ``.bin`` converted.

    Args:
        settings: What the study says of the model.
        cache: For converted checkpoints.
        verify_hashes: Whether the files of a converted checkpoint are read, whatever is remembered of their hashes.

    Raises:
        ModelError: No such folder or hub name, no config, no weights, or pickled weights without ``allow_bin``; or a
            file that cannot be read.
    """
    folder = _local_folder(settings) or _download(settings)
    check_config_file(folder)
    if weight_files(folder):
        return folder
    pickles = pickled_files(folder)
    if (folder / FACTORED_MANIFEST).is_file():
        raise ModelError(
            f"{folder} holds a model with thin factors; expected whole weights. clipsweep.load_factored loads it; "
            f"write it with --format dense to evaluate or sweep it."
        )
    if not pickles:
        raise ModelError(f"{folder} has no weights; expected model.safetensors or its shards.")
    if not settings.allow_bin:
        raise ModelError(
            f"{folder} has pickled weights only ({pickles[0].name}); expected safetensors. Set model.allow_bin: true "
            f"to read them with torch's weights-only loader and keep a safetensors copy in the cache."
        )
    return converted(folder, pickles, cache, verify=verify_hashes)


def find_config(settings: ModelSettings) -> Path:
    """Resolve a model's name to a local folder with its config and tokenizer; no weights of a hub name are downloaded.

    Raises:
        ModelError: No such folder or hub name, no config, or a quantised model.
    """
    folder = _local_folder(settings) or _fetch(settings, *TEXT_FILES)
    check_config_file(folder)
    check_not_quantised(folder)
    return folder


def _local_folder(settings: ModelSettings) -> Path | None:
    """The folder that a model's name stands for; None for a hub name.

    Raises:
        ModelError: It is neither.
    """
    folder = EMBEDDED_FOLDER if settings.path == EMBEDDED else Path(settings.path).expanduser()
    with reading(folder):
        is_folder = folder.is_dir()
    if is_folder and settings.revision is not None:
        raise ModelError(f"model.revision is {settings.revision!r}, but {folder} is a folder; remove the revision.")
    if is_folder:
        return folder
    if not HUB_NAME.fullmatch(settings.path):
        raise ModelError(
            f"model.path is {settings.path!r}: no such folder; expected a folder with config.json, "
            f"a hub name such as EleutherAI/gpt-j-6b, or {EMBEDDED!r}."
        )
    return None


def _download(settings: ModelSettings) -> Path:
    folder = _fetch(settings, *TEXT_FILES, "model*.safetensors")
    if not any(folder.glob("*.safetensors")) and settings.allow_bin:
        folder = _fetch(settings, *TEXT_FILES, "pytorch_model*.bin")
    return folder


def _fetch(settings: ModelSettings, *patterns: str) -> Path:
    """Download the files of a hub name that match ``patterns``, or find them downloaded.

    Raises:
        ModelError: The hub does not give them.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(settings.path, revision=settings.revision, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:  # huggingface_hub's errors derive from these
        raise ModelError(
            f"model.path is {settings.path!r}: no such folder, and the hub did not give it: {hub_reason(error)}. "
            f"Give a local folder, or check the name, the network and HF_HUB_OFFLINE."
        ) from error
