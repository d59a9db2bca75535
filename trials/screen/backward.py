"""The way of a screen through a model: once forwards, then back from the last block to the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from clipsweep.trials.base.budget import in_groups
from clipsweep.trials.clips.factors import Factors
from clipsweep.trials.decoder.arguments import take
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.patches import fused_activations
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.engine.cost import extents_of
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_readings import ScoreSheet, pad, plan_readings, read_answers
from clipsweep.trials.engine.microbatches import Microbatch, plan_microbatches
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.screen.block_graph import BlockGraph, Gradients
from clipsweep.trials.screen.count import count_operations
from clipsweep.trials.screen.formula import first_order, project
from clipsweep.trials.screen.passage import Passage, run_through
from clipsweep.trials.screen.room import Room
from clipsweep.trials.screen.sites import Site, Sites, seen_at

LOSS_SCALE = {torch.float16: 2.0**10}  # gradients of margins are small for the range of half precision


@dataclass(slots=True, kw_only=True)
class Group:
    """Rows that go through the model together.

    Attributes:
        rows: Their numbers.
        row_of: For each sequence the row that it belongs to.
        passage: On its way forwards.
        gradient: Of the sum of its margins, by what leaves the block that is gone back through next.
        of_prefix: The same by what leaves that block of the prefix; None where nothing depends on that.
        of_keys: By the keys and values of the prefix in that block; None where there is no prefix.
    """

    rows: Tensor
    row_of: Tensor
    passage: Passage
    gradient: Tensor
    of_prefix: Tensor | None = None
    of_keys: Pair | None = None


Look = tuple[Site, Callable[[], Factors]]  # a matrix, and what gives its factors


class Backward:
    """Goes through some rows in groups, as many under way together as there is room for.

    Attributes:
        margins: Of the untouched model, shape ``(rows,)``, float32.
        changes: Predicted, shape ``(clips, rows)``, float32.
        groups: For each row the number of its group.
        operations: By the cost model.
    """

    def __init__(self, engine: Engine, decoder: Decoder, prompts: Prompts, sites: Sites, n_clips: int) -> None:
        """Nothing runs yet.

        Args:
            engine: Holds the model.
            decoder: Runs it.
            prompts: The rows, all of them.
            sites: The matrices that clips change, by layer.
            n_clips: How many clips the sites number.
        """
        self._engine = engine
        self._decoder = decoder
        self._prompts = prompts
        self._sites = sites
        self._device = engine.loaded.model.device
        self._scale = LOSS_SCALE.get(engine.loaded.model.dtype, 1.0)
        self.margins = torch.zeros(len(prompts.queries), device=self._device)
        self.changes = torch.zeros(n_clips, len(prompts.queries), device=self._device)
        self.groups = torch.arange(len(prompts.queries))
        self.operations = 0

    @torch.no_grad()
    def run(self, size: int, room: Room) -> None:
        """Go there and back.

        Args:
            size: Rows of a group.
            room: What may be held.
        """
        batches = list(plan_microbatches(self._prompts, size))
        extents = extents_of(0, batches)
        waves = list(in_groups(list(map(room.passage_bytes, extents)), room.passages_limit))
        graph = max(map(room.graph_bytes, extents_of(len(self._prompts.prefix), batches)))
        with fused_activations(self._engine.loaded.model):
            prefix = self._read_prefix()
            for numbers in waves:
                groups = [self._go_forth(number, batches[number], prefix) for number in numbers]
                self._go_back(groups, prefix, lambda layer: room.holds_factors(layer, graph))
        self.operations = count_operations(
            self._engine.cost, extents_of(len(self._prompts.prefix), batches), room.matrices, len(waves)
        )

    def _read_prefix(self) -> Passage | None:
        if not self._prompts.prefix:
            return None
        ids = torch.tensor([self._prompts.prefix], device=self._device)
        return run_through(self._decoder, ids, None, None, keep_keys=True)

    def _go_forth(self, number: int, batch: Microbatch, prefix: Passage | None) -> Group:
        """Read a group's rows, and find the gradients of its margins by what leaves the last block."""
        ids, mask = pad(batch.sequences, len(self._prompts.prefix), self._device)
        passage = run_through(self._decoder, ids, mask, prefix)
        readings = plan_readings(batch, self._device)
        rows = sorted(batch.queries)
        sheet = ScoreSheet.blank(self._prompts, self._device)
        leaving = passage.entering[-1].requires_grad_()
        with torch.enable_grad():
            answers = take(leaving, readings.positions)
            found = read_answers(self._decoder, answers, readings, self._engine.card.vocabulary_size)
            readings.add_to(sheet, found)
            scores = sheet.scores(sheet.sums, self._prompts)
            margins = _margins(scores[rows], [self._prompts.queries[row].gold for row in rows])
            (gradient,) = torch.autograd.grad(self._scale * margins.sum(), leaving)
        self.margins[rows] = margins.detach()
        if prefix is not None:
            self.groups[rows] = number
        row_of = dict(zip(batch.reads.row.tolist(), batch.reads.query.tolist(), strict=True))
        return Group(
            rows=torch.tensor(rows, device=self._device),
            row_of=torch.tensor([row_of[sequence] for sequence in range(len(ids))], device=self._device),
            passage=passage,
            gradient=gradient,
        )

    def _go_back(self, groups: Sequence[Group], prefix: Passage | None, holds_all: Callable[[int], bool]) -> None:
        """Go back from the last block to the first that is screened.

        Factors of a block are read once where there is room for all of them, else one after the other for each group.
        """
        for layer in range(self._decoder.n_layers - 1, min(self._sites, default=self._decoder.n_layers) - 1, -1):
            looks: list[Look] = [(site, partial(self._factors, site)) for site in self._sites.get(layer, ())]
            if holds_all(layer):
                looks = [(site, cache(read)) for site, read in looks]
            for group in groups:
                self._queries_back(layer, group, prefix, looks)
            if prefix is not None:
                self._prefix_back(layer, groups, prefix, looks)

    def _queries_back(self, layer: int, group: Group, prefix: Passage | None, looks: Sequence[Look]) -> None:
        """Take a group's gradients back through a block; what they say of a sequence is its row's."""
        graph = BlockGraph(self._engine.loaded, self._decoder, layer, group.passage, prefix, _sites(looks))
        gradients = graph.pull(group.gradient, None)
        for site, factors in looks:
            change = _changes(graph, gradients, site, factors()).to(self.changes) / self._scale
            by_row = change.new_zeros(len(self._prompts.queries), change.shape[1]).index_add_(0, group.row_of, change)
            self.changes[list(site.clips)] += by_row.T
        group.gradient, group.of_keys = gradients.entering, gradients.prefix

    def _prefix_back(self, layer: int, groups: Sequence[Group], prefix: Passage, looks: Sequence[Look]) -> None:
        """Take the gradients of all groups back through a block of the prefix, and spread each over its rows."""
        graph = BlockGraph(self._engine.loaded, self._decoder, layer, prefix, None, _sites(looks))
        for group in groups:
            gradients = graph.pull(group.of_prefix, group.of_keys, again=True)
            for site, factors in looks:
                change = _changes(graph, gradients, site, factors()).to(self.changes)
                share = change / (self._scale * len(group.rows))
                clips = torch.tensor(site.clips, device=self._device)
                self.changes[clips[:, None], group.rows] += share.T
            group.of_prefix = gradients.entering

    def _factors(self, site: Site) -> Factors:
        weight = site.matrix.read(self._engine.loaded.model.get_parameter(site.matrix.parameter))
        return self._engine.factors.get(weight, site.name)


def _sites(looks: Sequence[Look]) -> list[Site]:
    return [site for site, _ in looks]


def _changes(graph: BlockGraph, gradients: Gradients, site: Site, factors: Factors) -> Tensor:
    """What each clip does to the margins by way of a matrix: shape ``(sequences, clips)``."""
    given, gradient = seen_at(graph.calls, gradients.answers, site)
    return first_order(factors, *project(factors, given, gradient), site.ranks)


def _margins(scores: Tensor, gold: Sequence[int]) -> Tensor:
    """How much higher the gold label scores than the best other, by row: as ``measure_margins`` has it."""
    answers = torch.tensor(gold, device=scores.device)[:, None]
    others = scores.scatter(1, answers, -torch.inf)
    return scores.gather(1, answers)[:, 0] - others.max(dim=1).values
