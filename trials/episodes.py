"""Synthetic in-context classification episodes: the task family the embedded model was trained on.

An *episode* sets two topics against each other and gives each a label word. A text mixes words of its own topic,
words of the rival topic and neutral words, so a single text can be ambiguous. In a *fixed* episode the label word is
the topic's own name, which a model can know by heart; in a *fresh* one both label words are drawn at random, so the
labelling can only be learnt from the demonstrations in the prompt.

Everything is drawn from ``random.Random`` seeded with a string, hence the same on every machine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

TOPICS: dict[str, tuple[str, ...]] = {
    name: tuple(words.split())
    for name, words in {
        "sea": "wave tide anchor reef sail harbor shell coral gull foam pier whale",
        "kitchen": "oven spoon flour butter pan soup knife bread salt recipe stew plate",
        "space": "orbit comet rocket moon galaxy planet crater probe meteor lunar star nebula",
        "music": "drum violin chord melody tempo choir flute song tune rhythm piano opera",
        "garden": "rose soil seed tulip hedge lawn bloom rake weed pot fern shovel",
        "money": "bank loan coin profit tax debt price budget cash market wage fund",
        "sport": "goal referee team score coach match ball league sprint medal trophy stadium",
        "weather": "rain storm cloud snow wind frost thunder fog hail sunny breeze drizzle",
        "school": "pupil lesson exam teacher chalk homework grade desk essay class pencil lecture",
        "health": "doctor nurse fever pill clinic vaccine cough surgery pulse bandage ward therapy",
        "city": "street tram tower traffic mayor subway bridge plaza crowd suburb taxi avenue",
        "forest": "oak fox moss trail owl pine bark deer mushroom stream bear leaf",
    }.items()
}
_NEUTRAL_WORDS = "the a some near under with another old small long quiet first very often again there they was"
_LABEL_WORDS = "red blue green gold gray pink white black north south east west left right up down"
NEUTRAL = tuple(_NEUTRAL_WORDS.split())
LABELS = tuple(_LABEL_WORDS.split())

OWN_TOPIC = 0.45
RIVAL_TOPIC = 0.09
TEXT_WORDS = (5, 9)


@dataclass(frozen=True, slots=True)
class Episode:
    """Two rival topics and the label word of each.

    Attributes:
        topics: Keys of ``TOPICS``; class 0 and class 1.
        labels: Label word of class 0 and class 1, without a leading space.
    """

    topics: tuple[str, str]
    labels: tuple[str, str]


def draw_episode(rng: random.Random, *, fixed: bool) -> Episode:
    """Draw two topics, and their label words: the topics' names if ``fixed``, random ones otherwise."""
    first, second = rng.sample(sorted(TOPICS), 2)
    if fixed:
        return Episode((first, second), (first, second))
    left, right = rng.sample(LABELS, 2)
    return Episode((first, second), (left, right))


def draw_text(
    rng: random.Random, episode: Episode, label: int, own: float = OWN_TOPIC, rival: float = RIVAL_TOPIC
) -> str:
    """Draw one text of class ``label``.

    Args:
        rng: Where the draws come from.
        episode: The topics and label words.
        label: 0 or 1.
        own: Probability that a word is of the text's own topic.
        rival: Probability that a word is of the other topic; what is left is neutral.
    """
    return " ".join(_draw_word(rng, episode, label, own, rival) for _ in range(rng.randint(*TEXT_WORDS)))


def _draw_word(rng: random.Random, episode: Episode, label: int, own: float, rival: float) -> str:
    draw = rng.random()
    if draw < own:
        return rng.choice(TOPICS[episode.topics[label]])
    if draw < own + rival:
        return rng.choice(TOPICS[episode.topics[1 - label]])
    return rng.choice(NEUTRAL)


def draw_rows(episode: Episode, *, seed: int, n_rows: int) -> list[dict[str, str | int]]:
    """Draw ``n_rows`` labelled texts of one episode, half of each class in random order.

    Args:
        episode: The topics and label words.
        seed: Any integer; the same seed gives the same rows, and more rows extend fewer.
        n_rows: How many rows; not negative.

    Returns:
        Rows with the columns ``text`` and ``label`` (0 or 1).
    """
    rng = random.Random(f"rows {episode} {seed}")
    rows: list[dict[str, str | int]] = []
    while len(rows) < n_rows:
        rows.extend({"text": draw_text(rng, episode, label), "label": label} for label in rng.sample((0, 1), 2))
    return rows[:n_rows]
