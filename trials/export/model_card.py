"""The model card of a clipped checkpoint: the hub's header, what was clipped, what came of it, how to make it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData, metadata_load
from yaml import YAMLError

from clipsweep.trials.base.hub import HUB_NAME
from clipsweep.trials.export.recipe import FACTORED, Recipe
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS

README = "README.md"
LICENCE_KEYS = ("license", "license_name", "license_link", "language")  # of the source's header
PAPERS = (
    "[LASER](https://arxiv.org/abs/2312.13558) and "
    "[SVD-based weight pruning for in-context learning](https://arxiv.org/abs/2406.03768)"
)
LOADED_BY = {
    False: "from transformers import AutoModelForCausalLM\n\nmodel = AutoModelForCausalLM.from_pretrained({path!r})",
    True: "import clipsweep\n\nmodel = clipsweep.load_factored({path!r})",
}


def model_card(recipe: Recipe, source: Path, out: Path, evidence: Sequence[str]) -> str:
    """The text of ``README.md``.

    No ``model-index`` is given: the hub's has no field for demonstrations and their seeds, without which a score says
    little.

    Args:
        recipe: What was made.
        source: Folder of the source, whose card says under which licence it is.
        out: Folder of the checkpoint.
        evidence: Lines of Markdown: the study, its data, its scores. Empty where there was no study.
    """
    name = recipe.model
    clips = [f"- `{words_of(clip)}`" for clip in recipe.clips]
    kinds = [f"- `{kind}`: {KINDS[kind].means}" for kind in dict.fromkeys(clip.kind for clip in recipe.clips)]
    versions = ", ".join(f"{package} {number}" for package, number in recipe.versions.items() if number)
    lines = [
        f"# {name}, clipped",
        "",
        f"{name} (fingerprint `{recipe.model_fingerprint}`) with these matrices clipped by clipsweep:",
        "",
        *clips,
        "",
        "What the kinds of clip do to a matrix:",
        "",
        *kinds,
        "",
        f"Layers are counted from 0. A clip rate is the share that is dropped; the method is that of {PAPERS}. The "
        f"weights were clipped in {recipe.dtype} and are stored in {recipe.written_as}.",
        "",
        *_how_stored(recipe),
        "```python",
        LOADED_BY[recipe.format == FACTORED].format(path=out.name),
        "```",
        "",
        *evidence,
        "## Make it again",
        "",
        f"    {again(recipe)}",
        "",
        f"Written by {versions}.",
    ]
    return f"---\n{_header(recipe, source)}---\n\n" + "\n".join(lines) + "\n"


def again(recipe: Recipe) -> str:
    """The command that makes the checkpoint: out of its source alone, or of its study where that does not say all.

    The study is named where clips depend on its texts, and where they were made in another dtype than the files': with
    ``--model`` both are one. So they are in every recipe without a study.
    """
    trial = _trial_of(recipe)
    if trial is None:
        words = ["clipsweep", "apply", "--model", recipe.model]
        words += ["--revision", recipe.revision] if recipe.revision else []
        for clip in recipe.clips:
            words += ["--clip", words_of(clip)]
        words += ["--dtype", recipe.written_as]
    else:
        words = ["clipsweep", "apply", "DIR", "--trial", trial]
        words += ["--dtype", recipe.written_as] if recipe.written_as != recipe.dtype else []
    return shlex.join([*words, "--format", recipe.format, "-o", "OUT"])


def _trial_of(recipe: Recipe) -> str | None:
    """The trial that the command names; None where source and clips say all."""
    if recipe.texts_of is not None or recipe.study is None or recipe.written_as == recipe.dtype:
        return recipe.texts_of
    first: str = recipe.study["trial_ids"][0]
    return first


def words_of(clip: Clip) -> str:
    """A clip as ``--clip`` takes it: ``layer=26,module=mlp,clip_rate=0.95,kind=svd``; no rate where it says nothing."""
    options = json.loads(clip.options) if clip.options else {}
    own = "".join(f",{key}={each if isinstance(each, str) else json.dumps(each)}" for key, each in options.items())
    rate = f"clip_rate={float(clip.clip_rate)!r}," if KINDS[clip.kind].has_rate else ""
    return f"layer={clip.layer},module={clip.module},{rate}kind={clip.kind}{own}"


def public_name(path: str) -> str:
    """A model as others may know it: its hub name, or the name of its folder, not where that lies on this machine."""
    folder = Path(path).expanduser()
    return folder.resolve().name if folder.is_dir() else path


def _how_stored(recipe: Recipe) -> list[str]:
    if recipe.format != FACTORED:
        return []
    text = (
        "Each clipped matrix that is smaller as two thin factors is stored so, and runs as two small linear maps. "
        "The folder loads with clipsweep alone:"
    )
    return [text, ""]


def _header(recipe: Recipe, source: Path) -> str:
    """The YAML header, as the hub reads it."""
    known = _header_of(source / README) if (source / README).is_file() else {}
    data: dict[str, Any] = {key: known[key] for key in LICENCE_KEYS if known.get(key)}
    if HUB_NAME.fullmatch(recipe.model):
        data["base_model"] = recipe.model
    tags = ["clipsweep", *sorted({clip.kind for clip in recipe.clips})]
    yaml: str = ModelCardData(library_name="transformers", tags=tags, **data).to_yaml()
    return yaml.rstrip("\n") + "\n"


def _header_of(readme: Path) -> dict[str, Any]:
    """The header of the source's card; empty where it has none that can be read, which is no reason not to clip it."""
    try:
        return metadata_load(readme) or {}
    except (ValueError, YAMLError):  # no mapping, no UTF-8, or no YAML
        return {}
