"""The tasks that come with clipsweep. A new one is an entry of ``TASKS``; those of LASER are in ``laser.py``.

Prompts follow Table 1 of Yao et al. (2024), arXiv:2406.03768, splits its appendix C.3; where the paper leaves
separators or label words open they are ours (``docs/tasks.md``). Hub names are those that datasets 5 loads; of datasets
whose repository holds a script the hub's own Parquet conversion is read.
"""

from __future__ import annotations

from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import Source, Splits, TaskDefinition, Wording
from clipsweep.trials.tasks.laser import CONVERTED, LASER_TASKS


def _classes(*indices: int) -> dict[str, int]:
    """Labels 0, 1, … of the hub, each with the index of its answer."""
    return {str(label): index for label, index in enumerate(indices)}


PAPER_TASKS: dict[str, TaskDefinition] = {
    "sst2": TaskDefinition(
        source=Source(path="nyu-mll/glue", config="sst2"),
        wording=Wording(query="text: {sentence}\nsentiment:", answers=(" negative", " positive")),
        classes=_classes(0, 1),
        validation_size=8000,
    ),
    "agnews": TaskDefinition(
        source=Source(path="fancyzhx/ag_news"),
        wording=Wording(
            query="text: {text}\nclassification:", answers=(" World", " Sports", " Business", " Technology")
        ),
        classes=_classes(0, 1, 2, 3),
        splits=Splits(test="test"),
        validation_size=8000,
        shots=8,
    ),
    "emoc": TaskDefinition(
        source=Source(path="SemEvalWorkshop/emo", config="emo2019", revision=CONVERTED),
        wording=Wording(query="text: {text}\nsentiment:", answers=(" others", " happy")),
        classes=_classes(0, 1, 0, 0),  # the hub's others, happy, sad, angry
        splits=Splits(test="test"),
        validation_size=5000,
    ),
    "mrpc": TaskDefinition(
        source=Source(path="nyu-mll/glue", config="mrpc"),
        wording=Wording(query="sentence1: {sentence1}\nsentence2: {sentence2}\nlabel:", answers=(" false", " true")),
        classes=_classes(0, 1),
        splits=Splits(validation="validation", test="test"),
    ),
    "rte": TaskDefinition(
        source=Source(path="aps/super_glue", config="rte", revision=CONVERTED),
        wording=Wording(
            query="{premise}\nDoes this mean that {hypothesis} is true? select Yes or No?", answers=(" Yes", " No")
        ),
        classes=_classes(0, 1),
        splits=Splits(test="validation"),
        demonstrations=10,
    ),
    "cb": TaskDefinition(
        source=Source(path="aps/super_glue", config="cb", revision=CONVERTED),
        wording=Wording(
            query="Suppose {premise} Can we infer that {hypothesis}? Yes, No, or Maybe?",
            answers=(" Yes", " No", " Maybe"),
        ),
        classes=_classes(0, 1, 2),  # the hub's entailment, contradiction, neutral
        splits=Splits(test="validation"),
        demonstrations=15,
        shots=15,
    ),
    "copa": TaskDefinition(
        source=Source(path="aps/super_glue", config="copa", revision=CONVERTED),
        wording=Wording(
            query="{premise} {question}",
            answers=(" {choice1}", " {choice2}"),
            words={"question": {"cause": "because", "effect": "so"}},
        ),
        classes=_classes(0, 1),
        splits=Splits(test="validation"),
        validation_size=200,
        scoring=Scoring.MEAN_LOGLIKELIHOOD,
    ),
}

TASKS = PAPER_TASKS | LASER_TASKS
