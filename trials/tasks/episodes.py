"""Synthetic in-context classification episodes: the task family the embedded model was trained on.

An *episode* sets topics against each other and gives each a label word. A text mixes words of its own topic, words of
the rival topics and neutral words, so a single text can be ambiguous. In a *fixed* episode the label word is the
topic's own name, which a model can know by heart; in a *fresh* one label words are drawn at random, so the labelling
can only be learnt from the demonstrations in the prompt. Label words are in capitals and follow their text at once:
``wave tide the reef RED``.

Everything is drawn from ``random.Random`` seeded with a string, hence the same on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
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
LABELS = tuple(_LABEL_WORDS.upper().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How texts are drawn.

    Attributes:
        own: Probability that a word is of the text's own topic.
        rival: Probability that it is of another topic of the episode; what is left is neutral.
        words: Shortest and longest text, in words.
    """

    own: float
    rival: float
    words: tuple[int, int]


TASK_NOISE = Noise(own=0.45, rival=0.09, words=(5, 9))
WORDS_PER_TOPIC = 12


@dataclass(frozen=True, slots=True)
class Episode:
    """Rival topics and the label word of each.

    Attributes:
        topics: Words of each class's topic.
        labels: Label word of each class, without a leading space.
    """

    topics: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]


def draw_episode(
    rng: random.Random,
    *,
    labels: Sequence[str] | None = LABELS,
    n_classes: int = 2,
    words_per_topic: int = WORDS_PER_TOPIC,
) -> Episode:
    """Draw topics and their label words.

    Args:
        rng: Where the draws come from.
        labels: Words that labels are drawn from; None for the topics' own names, a labelling to know by heart.
        n_classes: How many topics.
        words_per_topic: How many of each topic's words the episode uses.
    """
    names = rng.sample(sorted(TOPICS), n_classes)
    topics = tuple(tuple(rng.sample(TOPICS[name], words_per_topic)) for name in names)
    words = [name.upper() for name in names] if labels is None else rng.sample(labels, n_classes)
    return Episode(topics, tuple(words))


def draw_text(rng: random.Random, episode: Episode, label: int, noise: Noise = TASK_NOISE) -> str:
    """Draw one text of class ``label``."""
    return " ".join(_draw_word(rng, episode, label, noise) for _ in range(rng.randint(*noise.words)))


def _draw_word(rng: random.Random, episode: Episode, label: int, noise: Noise) -> str:
    draw = rng.random()
    if draw < noise.own:
        return rng.choice(episode.topics[label])
    if draw < noise.own + noise.rival:
        return rng.choice(rng.choice([topic for number, topic in enumerate(episode.topics) if number != label]))
    return rng.choice(NEUTRAL)


def draw_rows(episode: Episode, *, seed: int, n_rows: int) -> list[dict[str, str | int]]:
    """Draw ``n_rows`` labelled texts of one episode, as many of each class, in random order.

    Args:
        episode: The topics and label words.
        seed: Any integer; the same seed gives the same rows, and more rows extend fewer.
        n_rows: How many rows; not negative.

    Returns:
        Rows with the columns ``text`` and ``label`` (index into ``episode.labels``).
    """
    rng = random.Random(f"rows {episode} {seed}")
    classes = range(len(episode.topics))
    rows: list[dict[str, str | int]] = []
    while len(rows) < n_rows:
        rows.extend({"text": draw_text(rng, episode, n), "label": n} for n in rng.sample(classes, len(classes)))
    return rows[:n_rows]
