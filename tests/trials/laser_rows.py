"""Made-up rows in the columns that LASER's data sets have on the hub: one split each for the tests of those tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import write_rows

Row = dict[str, Any]
CHOICES = ["It is warm.", "It is cold", "It is wet."]


def counterfact(split: str, number: int) -> Row:
    """A record of azhx/counterfact."""
    subject, target = f"{split} {number}", ("French", "English", "old Norse")[number % 3]
    return {
        "case_id": number,
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is",
            "relation_id": "P103",
            "subject": subject,
            "target_new": {"id": "Q1", "str": "Dutch"},
            "target_true": {"id": "Q2", "str": target},
        },
        "paraphrase_prompts": [f"It rained. {subject} speaks", f"The words of {subject} are"],
    }


def fever(split: str, number: int) -> Row:
    """A row of EleutherAI/fever, of which there is one for each piece of evidence."""
    label = ("REFUTES", "SUPPORTS", "NOT ENOUGH INFO")[number % 3]
    return {"id": number, "label": label, "claim": f"{split} {number} is a film", "evidence_id": 7}


def bios(split: str, number: int) -> Row:
    """A row of LabHC/bias_in_bios: every other profession is one of the eight."""
    profession = (11, 0, 20, 3, 26, 4)[number % 6]
    return {"hard_text": f"{split} {number} writes songs", "profession": profession, "gender": number % 2}


def hotpotqa(split: str, number: int) -> Row:
    """A row of hotpotqa/hotpot_qa: every third answer is too long."""
    answer = f"a film of {number}" if number % 3 else " ".join(["very"] * 10 + ["long"])
    return {"id": f"{number}", "question": f"Which film is {split} {number}", "answer": answer, "type": "bridge"}


def truthfulqa(split: str, number: int) -> Row:
    """A row of truthfulqa/truthful_qa."""
    return {
        "question": f"How is the weather in {split} {number}?",
        "mc1_targets": {"choices": CHOICES, "labels": [1, 0, 0]},
        "mc2_targets": {"choices": CHOICES, "labels": [1, 0, 1]},
    }


def epistemic(split: str, number: int) -> Row:
    """A row of tasksource/bigbench, epistemic_reasoning."""
    target = ("entailment", "non-entailment")[number % 2]
    return {
        "idx": number,
        "inputs": f"Premise: {split} {number} thinks. Hypothesis: it rains.\nRelation:",
        "targets": [target],
        "multiple_choice_targets": ["entailment", "non-entailment"],
        "multiple_choice_scores": [int(target == "entailment"), int(target != "entailment")],
    }


def wikidata(split: str, number: int) -> Row:
    """A row of tasksource/bigbench, qa_wikidata: every third has two targets."""
    targets = [f"city {number}"] if number % 3 else ["one", "two"]
    return {"idx": number, "inputs": f" {split} {number} lies in ", "targets": targets}


SPLITS = {
    "counterfact": ("train", "test"),
    "fever": ("paper_dev", "paper_test"),
    "bios_gender": ("dev",),
    "bios_profession": ("dev",),
    "hotpotqa": ("train", "validation"),
    "truthfulqa": ("validation",),
    "bigbench_epistemic": ("validation", "train"),
    "bigbench_wikidata": ("validation", "train"),
}
MAKERS: dict[str, Callable[[str, int], Row]] = {
    "counterfact": counterfact,
    "fever": fever,
    "bios_gender": bios,
    "bios_profession": bios,
    "hotpotqa": hotpotqa,
    "truthfulqa": truthfulqa,
    "bigbench_epistemic": epistemic,
    "bigbench_wikidata": wikidata,
}


def write_laser(folder: Path, name: str, count: int = 30) -> Path:
    """Write a folder with so many rows of each split of a task's source."""
    for split in SPLITS[name]:
        write_rows(folder / f"{split}.jsonl", [MAKERS[name](split, number) for number in range(count)])
    return folder
