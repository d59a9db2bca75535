"""The paper's published numbers as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pandas

PUBLISHED = "published"  # what column ``study`` holds
FILE = Path(__file__).parent / "published.parquet"
RELEASED_CODE = "released code"  # of column ``source``; the others are ``table 2`` to ``table 8``
WHOLE_NUMBERS = ("layer", "n_layers", "shots", "n_examples")


def published_table() -> pa.Table:
    """The numbers as an Arrow table; the metadata of its schema has their source and licence.

    Returns:
        A row for each number, with the columns that ``load_published`` lists; columns without a value are null.
    """
    return pq.read_table(FILE)


def load_published() -> pandas.DataFrame:
    """What Yao et al. (2024) published of GPT-J-6B and LLaMA2-7B, as a pandas frame: a row for each score.

    Columns are named as those of a frame of points where they mean the same. Scores are as published, slips included;
    ``docs/published.md`` lists what is odd about them.

    Returns:
        Columns ``study`` (always ``"published"``), ``task`` (by our names), ``model``, ``n_layers`` (of that model),
        ``module`` (``"attn"`` or ``"mlp"``), ``layer`` (from 0), ``clip_rate`` (0 to 1), ``split``, ``score`` and
        ``baseline`` (fractions), ``metric`` (as its source names it: ``"accuracy"`` or ``"f1"``), ``shots`` (those in
        the prompt), ``n_examples`` (rows that were scored, where that is known) and ``source``.

        Rows of source ``"released code"`` and split ``"validation"`` are the curves of RTE, CB and COPA, eight rates
        each; their ``baseline`` is the curve's own score at rate 0. Rows of split ``"test"`` are one for each curve at
        the rate that it chose, and one for each line of the paper's Tables 2 to 8 (source ``"table 2"`` and so on).

    Source:
        arXiv 2406.03768 and its released code (MIT).
    """
    frame: pandas.DataFrame = published_table().to_pandas()
    return frame.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))
