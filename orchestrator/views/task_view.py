"""What the model will see: a task's rows, one whole prompt, the tokens of its answers, how long prompts are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from clipsweep.orchestrator.study.files import NO_MODEL
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import TaskError, counted
from clipsweep.trials.models.facts import model_facts
from clipsweep.trials.models.find import find_config
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.trial import TEST, VALIDATION, PromptSet
from clipsweep.trials.tasks.definition import place_words
from clipsweep.trials.tasks.load import define_task, load_task
from clipsweep.trials.tasks.settings import PAPER
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.texts.reader import check_length
from clipsweep.trials.tokens.embeddings import UNLIMITED, check_embeddings
from clipsweep.trials.tokens.encode import encode_prompts, fitting_shots
from clipsweep.trials.tokens.later import tokenizer_later
from clipsweep.trials.tokens.notes import prompt_notes
from clipsweep.trials.tokens.special import special_tokens_of
from clipsweep.trials.tokens.wording import render_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LENGTH_ROWS = 2000  # of each split; tokenising all of a large one would take minutes
BINS, BAR = 8, 40
SHOWN_FILES = 4


def view_task(
    study: Study, cache: Path, *, shots: int | None, demo_seed: int | None, row: int, tokens: bool
) -> dict[str, Any]:
    """Everything that ``clipsweep task show`` says, as the document of its ``--json``.

    Args:
        study: Names the task, and the model whose tokenizer reads it.
        cache: Where rows are kept.
        shots: Demonstrations; None for the study's, or the task's own number.
        demo_seed: Seed that draws them; None for the study's first.
        row: Row of the validation split whose prompt is shown.
        tokens: Whether to load the tokenizer and count tokens.

    Raises:
        ClipsweepError: The task cannot be loaded, or has no such row.
    """
    if demo_seed is not None and study.task.variant != PAPER:
        raise TaskError(
            "--demo-seed has no effect in variant release, where task.seed fixes demonstrations; remove it."
        )
    settings = study.task_settings()
    asked = max(study.space.shots or [define_task(settings).shots]) if shots is None else shots
    drawn = (study.space.demo_seeds or [0])[0] if demo_seed is None else demo_seed
    named = study.model.path != NO_MODEL
    task = load_task(settings, cache, tokenizer_later(lambda: find_config(study.model_settings())) if named else None)
    wanted = PromptSet(shots=asked, demo_seed=drawn, split=VALIDATION)
    rows = task.splits[VALIDATION]
    if row not in range(len(rows)):
        raise TaskError(f"row {row} of validation does not exist; expected 0 to {len(rows) - 1}.")
    document: dict[str, Any] = {
        "task": task.name,
        "variant": study.task.shown_variant,
        "fingerprint": task.fingerprint,
        "files": [asdict(origin) for origin in task.origins],
        "seed": task.seed,
        "scoring": str(task.definition.scoring),
        "metric": task.definition.metric,
        "splits": {split: len(members) for split, members in task.splits.items()},
        "kept_for_demonstrations": len(task.demonstrations),
        "dropped": dict(task.dropped),
        "shots": asked,
        "row": dict(zip(("split", "number"), rows[row].row, strict=True))
        | {"part": rows[row].part, "of_task": rows[row].of_task},
        "prompt": render_prompts(task, wanted, [rows[row]])[0],
        "answers": list(rows[row].answers),
        "gold": rows[row].gold,
    }
    return document | (_read_tokens(study, task, wanted, row, cache) if tokens else {})


def _read_tokens(study: Study, task: Task, wanted: PromptSet, row: int, cache: Path) -> dict[str, Any]:
    """What the model's tokenizer makes of it.

    Raises:
        ClipsweepError: The model has no tokenizer, a prompt holds a token that it has no embedding for, or windows of
            text are to be longer than its context.
    """
    from clipsweep.trials.tokens.tokenizer import open_tokenizer

    folder = find_config(study.model_settings())
    tokenizer, notes = open_tokenizer(folder)
    facts = model_facts(folder, cache)
    context = facts["context_length"]
    check_length(study.task_settings().text, context)
    fitting = replace(wanted, shots=fitting_shots(task, tokenizer, wanted, context))
    prompts = encode_prompts(task, tokenizer, fitting, UNLIMITED, [row])
    shown = prompts.queries[0]
    read = _read_prompt(task, tokenizer, fitting, row, (*prompts.prefix, *shown.tokens))
    answers = [{"ids": list(label), "tokens": tokenizer.convert_ids_to_tokens(list(label))} for label in shown.labels]
    lengths = {}
    for split, members in task.splits.items():
        numbers = range(min(len(members), LENGTH_ROWS))
        prompts = encode_prompts(task, tokenizer, replace(fitting, split=split), UNLIMITED, numbers)
        tokens = [prompts.length(query) for query in prompts.queries]
        too_long = sum(length > context for length in tokens)
        check_embeddings(task, tokenizer, [replace(fitting, split=split)], facts["vocabulary_size"])
        notes += prompt_notes(task, tokenizer, split)
        lengths[split] = _histogram(tokens) | {"shared": len(prompts.prefix), "too_long": too_long}
    return {
        "model": study.model.path,
        "context_length": context,
        "demonstrations": fitting.shots,
        **read,
        "answer_tokens": answers,
        "prompt_tokens": lengths,
        "notes": list(dict.fromkeys(notes)),
    }


def _read_prompt(
    task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, row: int, ids: Sequence[int]
) -> dict[str, Any]:
    """The prompt of a row as the model reads it: its text, and which special tokens are in it.

    The text begins with the beginning-of-text token where the tokens do, however often the wording writes it.
    """
    special = special_tokens_of(tokenizer)
    rows = [task.splits[wanted.split][row]]
    begins = bool(ids) and ids[0] == tokenizer.bos_token_id
    text = render_prompts(task, wanted, rows, special if begins else None)[0]
    counts = Counter(number for number in ids if number in special.texts)
    return {
        "prompt": f"{special.start if begins else ''}{text}",
        "special_tokens": [
            {"token": special.texts[each], "id": each, "count": count} for each, count in counts.items()
        ],
    }


def _histogram(lengths: list[int]) -> dict[str, Any]:
    """Least, median and most, and how many lie in each of a few bins ``[low, high)``."""
    least, most = min(lengths), max(lengths)
    width = max(1, -(-(most + 1 - least) // BINS))
    edges = range(least, most + width + 1, width)
    bins = []
    for low, high in pairwise(edges):
        bins.append([low, high, sum(low <= length < high for length in lengths)])
    return {"rows": len(lengths), "least": least, "median": median(lengths), "most": most, "bins": bins}


def _describe_files(files: list[dict[str, Any]]) -> list[str]:
    """What was read, a line for each split of the source."""
    lines = []
    for (source, split), members in groupby(files, key=itemgetter("source", "split")):
        held = [f"{file['name']} ({counted(file['rows'], 'row')})" for file in members]
        more = f" and {len(held) - SHOWN_FILES} more" if len(held) > SHOWN_FILES else ""
        lines.append(f"{', '.join(held[:SHOWN_FILES])}{more} of {source}, for its split {split}")
    return lines


def describe_task(view: dict[str, Any]) -> str:
    """The document in words."""
    sizes = ", ".join(f"{count} {split}" for split, count in view["splits"].items())
    sizes += "" if TEST in view["splits"] else ", no test"
    dropped = ", ".join(f"{count} of {split}" for split, count in view["dropped"].items())
    of_variant = "" if view["variant"] is None else f"{view['variant']} variant, "
    what = "windows" if view["scoring"] == Scoring.TEXT else "rows"
    lines = [
        f"task        {view['task']} ({of_variant}fingerprint {view['fingerprint'][:12]})",
        f"{what:<12}{sizes}; {view['kept_for_demonstrations']} kept for demonstrations; split seed {view['seed']}",
        f"left out    {dropped}, whose text is in another split",
        *(f"read        {line}" for line in _describe_files(view["files"])),
        f"scoring     {view['scoring']}; the winner is picked by {view['metric']}",
        f"prompt      of {_place(view['row'])}, {_part(view['row'])}{counted(view['shots'], 'shot')}; ⏎ ends a line",
        "",
        *(f"    {line}" for line in (view["prompt"].replace("\n", "⏎\n") + "▁").split("\n")),
        "",
        *_describe_answers(view),
        "",
    ]
    if "answer_tokens" not in view:
        return "\n".join([*lines, "Tokens are shown with --model NAME, whose tokenizer alone is loaded."])
    shown = view["demonstrations"]
    in_prompt = f"{counted(shown, 'demonstration')} {'is' if shown == 1 else 'are'} in the prompt"
    lines += [
        f"context     {view['context_length']} tokens; {in_prompt}",
        f"special     {_describe_special(view['special_tokens'])}",
        *(f"note        {note}" for note in view["notes"]),
        *(line for split, lengths in view["prompt_tokens"].items() for line in _describe_lengths(split, lengths)),
    ]
    return "\n".join(lines)


def _place(row: dict[str, Any]) -> str:
    """Where the row stands, in words."""
    return place_words(row["split"], row["number"], row["of_task"])


def _part(row: dict[str, Any]) -> str:
    """Which of the rows that were made of one, in words."""
    return "" if row["part"] is None else f"part {row['part']}, "


def _describe_answers(view: dict[str, Any]) -> list[str]:
    """The answers of a row, a line for each, with their tokens where a tokenizer was asked; of text what is scored."""
    lines = []
    if view["scoring"] == Scoring.TEXT:
        scored = counted(len(view["answer_tokens"][0]["ids"]), "token")
        return [f"scored      {view['answers'][0]!r}   {scored}"]
    for number, answer in enumerate(view["answers"]):
        tokens = ""
        if "answer_tokens" in view:
            found = view["answer_tokens"][number]
            tokens = f"   tokens {' '.join(map(repr, found['tokens']))} (ids {', '.join(map(str, found['ids']))})"
        lines.append(f"answer {number}    {answer!r}{tokens}{'   ← right' if number == view['gold'] else ''}")
    return lines


def _describe_lengths(split: str, lengths: dict[str, Any]) -> list[str]:
    """How long the prompts of a split are, with a bar for each range of lengths."""
    lines = [
        f"lengths     {split}: {lengths['least']} to {lengths['most']} tokens, median {lengths['median']:g}, "
        f"{lengths['shared']} of them shared by all ({counted(lengths['rows'], 'row')} looked at)"
    ]
    if lengths["too_long"]:
        lines.append(f"    {lengths['too_long']} of these are longer than the context, so a study would be refused")
    tallest = max(count for _, _, count in lengths["bins"])
    for low, high, count in lengths["bins"]:
        lines.append(f"    {low:5} to {high - 1:5}  {'█' * round(BAR * count / tallest)} {count}")
    return lines


def _describe_special(tokens: list[dict[str, Any]]) -> str:
    """The special tokens of a prompt in words."""
    words = [f"{each['token']!r} (id {each['id']}), {each['count']} in the prompt" for each in tokens]
    return "; ".join(words) or "no special token is in the prompt"
