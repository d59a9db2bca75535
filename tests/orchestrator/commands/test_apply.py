from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import json_of, runner


def test_the_winner_is_written_checked_and_loads(folder: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["apply", str(folder), "-o", str(tmp_path / "out"), "--check"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"wrote     {tmp_path / 'out'}: mlp of layer ")
    assert "(2 weight matrices)" in result.stdout
    assert result.stdout.count("0 of 20 ") == 2
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").config.model_type == "gptj"


def test_the_document_has_the_documented_keys(folder: Path, tmp_path: Path) -> None:
    document = json_of("apply", str(folder), "-o", str(tmp_path / "out"), "--format", "factored")
    assert list(document) == [
        "out", "format", "dtype", "clips", "changed", "kept_whole", "texts_of", "weight_bytes", "seconds", "check"
    ]  # fmt: skip
    assert (document["format"], document["check"]) == ("factored", None)


def test_best_prints_the_command(folder: Path) -> None:
    assert f"apply     clipsweep apply {folder} -o tiny-clipped" in runner.invoke(app, ["best", str(folder)]).stdout


def test_clips_are_applied_without_a_study(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    clips = ["--clip", "layer=-1,module=mlp,clip_rate=0.9", "--clip", "layer=0,module=q,clip_rate=0.5,kind=svd"]
    document = json_of("apply", "--model", str(tiny_gptj), *clips, "-o", str(tmp_path / "out"))
    assert [clip["layer"] for clip in document["clips"]] == [1, 0]
    assert len(document["changed"]) == 3


def test_a_kind_without_a_rate_is_applied_without_a_study(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    json_of("apply", "--model", str(tiny_gptj), "--clip", "layer=1,module=q,kind=zero", "-o", str(tmp_path / "out"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert [name for name, weight in model.named_parameters() if not weight.any() and ".attn." in name] == [
        "transformer.h.1.attn.q_proj.weight"
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "neither a study nor a model is given"),
        (["DIR", "--model", "embedded"], "DIR cannot stand beside --model"),
        (["--model", "embedded", "--trial", "abcdef"], "--trial cannot stand beside --model"),
        (["--model", "embedded", "--check"], "--check cannot stand beside --model"),
        (["DIR", "--clip", "layer=1,module=mlp,clip_rate=0.5"], "--clip cannot stand beside DIR"),
        (["--model", "embedded"], "--model asks for --clip"),
        (["--model", "embedded", "--clip", "layer=6,module=mlp,clip_rate=0.5"], "layer 6 does not exist"),
        (["--model", "embedded", "--clip", "layer=1,module=gate,clip_rate=0.5"], "module 'gate' has no matrix"),
        (["--model", "embedded", "--clip", "layer=1,module=mlp,clip_rate=0"], "leave every matrix"),
        (
            ["--model", "embedded", *2 * ["--clip", "layer=1,module=mlp,clip_rate=0.5"]],
            "clipped twice in one trial",
        ),
        (["--model", "embedded", "--clip", "layer=1,module=mlp,clip_rate=0.5,kind=whitened"], "without a study"),
        (["nowhere"], "nowhere holds no study"),
    ],
)
def test_what_cannot_be_applied_is_refused(arguments: list[str], words: str, tmp_path: Path, cache: Path) -> None:
    result = runner.invoke(app, ["apply", *arguments, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "out").exists()
