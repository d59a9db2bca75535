"""Predict what every clip of a study does to the margins of some rows, by one pass forwards and one backwards.

The pass forwards keeps what enters each block; from the last block to the first each is run again with its graph, so
that one block's graph is in memory at a time (Chen et al., 2016, arXiv 1604.06174, with a block as the segment).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np
import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.screen.backward import Backward
from clipsweep.trials.screen.room import Room, no_room
from clipsweep.trials.screen.rows import rows_of_a_group, rows_to_screen
from clipsweep.trials.screen.screened import FORMULA_NAME, LEAST_ROWS, Screened, ScreenRequest
from clipsweep.trials.screen.sites import check_sites, plan_sites
from clipsweep.trials.spec.clip import Clip

log = logging.getLogger(__name__)


def screen(engine: Engine, prompts: Prompts, request: ScreenRequest) -> Screened:
    """Predict what clips, each alone, do to the margins of the last rows of a split.

    Rows are taken in ten groups, or more where memory asks for it.

    Args:
        engine: Holds the model, which is the same afterwards.
        prompts: Those of the request, tokenised.
        request: Which clips, and how many rows.

    Raises:
        EvaluationError: A row has a single label, the rows are too few, the model is run on full prompts, a matrix is
            no plain linear map, one row does not fit in memory, or gradients are not finite.
        SpecError: A clip is of another kind, or names what the model does not have.
    """
    clips = request.clips
    if min(len(query.labels) for query in prompts.queries) < 2:
        raise EvaluationError(
            "a screen predicts how far the right label is ahead of the others, and some rows of this task have no "
            "others; expected two labels or more for each row. Switch the screen off."
        )
    order, rows = rows_to_screen(prompts, request.rows)
    if len(rows.queries) < LEAST_ROWS:
        raise EvaluationError(
            f"a screen of {len(rows.queries)} rows says too little; expected {LEAST_ROWS} or more. Give the task more "
            f"validation rows, raise search.screen.rows, or switch the screen off."
        )
    size = rows_of_a_group(rows)
    decoder = engine.decoder_for(prompts, size)
    if decoder is None:
        raise EvaluationError(
            "a screen needs a model that is run block by block, and these prompts are read whole (full-prompts, as the "
            "log says); expected one whose gradients go back block by block. Switch the screen off."
        )
    sites = plan_sites(clips, engine.card, engine.layout)
    check_sites(engine.loaded.model, [site for each in sites.values() for site in each])
    engine.make_room()
    began = time.perf_counter()
    room = Room.of(engine, sites, len(rows.prefix))
    size = room.fitting_size(rows, size)
    while True:
        way = Backward(engine, decoder, rows, sites, len(clips))
        try:
            way.run(size, room)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
        else:
            return _screened(way, order, request, engine.card, time.perf_counter() - began)
        torch.cuda.empty_cache()
        if size == 1:
            raise no_room(reason)
        size //= 2
        log.warning("out of memory; the screen now takes %d rows at once", size)


def _screened(way: Backward, order: Sequence[int], request: ScreenRequest, card: ModelCard, seconds: float) -> Screened:
    """What came of it.

    Raises:
        EvaluationError: Some of it is not finite.
    """
    back = np.argsort(order)
    margins, changes = way.margins.cpu().numpy()[back], way.changes.cpu().numpy()[:, back]
    if not (np.isfinite(margins).all() and np.isfinite(changes).all()):
        raise EvaluationError(
            "the gradients of a screen are not finite; expected numbers. Try model.dtype: float32, or switch it off."
        )
    return Screened(
        request=request,
        ranks=tuple(_ranks(clip, card) for clip in request.clips),
        margins=margins,
        groups=tuple(way.groups.numpy()[back].tolist()),
        changes=changes,
        formula=FORMULA_NAME,
        operations=way.operations,
        seconds=seconds,
    )


def _ranks(clip: Clip, card: ModelCard) -> tuple[int, ...]:
    return tuple(kept_rank(clip.clip_rate, edit.shape.rows, edit.shape.cols) for edit in resolve([clip], card).edits)
