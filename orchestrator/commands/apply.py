"""``clipsweep apply``: the winner of a study, or clips given by hand, as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from clipsweep.orchestrator.terminal.clip_option import EXAMPLE, parse_clips
from clipsweep.orchestrator.terminal.shell import FAILED, AsJson, print_json, refusing, tell
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.export.recipe import DENSE, Format
from clipsweep.trials.models.settings import Dtype, ModelSettings


@refusing
def apply(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The new checkpoint's folder.")],
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Folder of a study; none with --model.")] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="ID", help="A trial, or its first digits; default the winner.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="PATH", help="Without a study: a folder, a hub name, or 'embedded'.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub name.")] = None,
    clips: Annotated[
        list[str] | None,
        typer.Option("--clip", metavar="CLIP", help="layer=26,module=mlp,clip_rate=0.95,kind=svd; several times."),
    ] = None,
    written_as: Annotated[
        Format, typer.Option("--format", help="factored: as two thin factors, where that is smaller.")
    ] = DENSE,
    dtype: Annotated[Dtype | None, typer.Option(help="Of the files; default the study's, or the model's own.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Load it, score it, compare with the stored trial example by example.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the winner as a checkpoint that transformers loads; exit code 1 where --check finds a difference."""
    from clipsweep.orchestrator.folder.open_study import reopen
    from clipsweep.orchestrator.folder.snapshot import Snapshot
    from clipsweep.orchestrator.take_home.apply import Wish, apply_clips, apply_study, describe_applied
    from clipsweep.trials.base.files import default_cache

    wish = Wish(out=out, format=written_as, dtype=dtype, check=check)
    if model is not None:
        _refuse(folder=folder, trial=trial, check=check or None, beside="--model", why="they belong to a study")
        settings = ModelSettings(path=model, dtype="float32", revision=revision)
        if not clips:
            raise SpecError(f"--model asks for --clip, what is clipped; {EXAMPLE}.")
        document = apply_clips(settings, [each.clip for each in parse_clips(clips)], wish, default_cache(), tell)
    elif folder is not None:
        _refuse(clip=clips, revision=revision, beside="DIR", why="the study has them")
        snapshot = Snapshot.take(reopen(folder))
        document = apply_study(snapshot, trial, wish, default_cache(), tell)
    else:
        raise SpecError("neither a study nor a model is given; expected DIR, or --model with --clip.")
    if as_json:
        print_json(document)
    else:
        typer.echo(describe_applied(document))
    if check and document["check"]["differ"]:
        raise typer.Exit(FAILED)


def _refuse(*, beside: str, why: str, **given: Any) -> None:
    """Refuse options that would have no effect.

    Raises:
        SpecError: Some are given.
    """
    if named := [key for key, value in given.items() if value]:
        words = " and ".join("DIR" if key == "folder" else f"--{key}" for key in named)
        raise SpecError(f"{words} cannot stand beside {beside}: {why}. Leave one of the two out.")
