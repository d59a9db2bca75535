"""The kind ``whitened``: the low-rank matrix whose outputs, not whose entries, are nearest to the original's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import EvaluationError, SpecError
from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEMONSTRATIONS, Texts
from clipsweep.trials.spec.shape import Shape, kept_of

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors
    from clipsweep.trials.clips.target import Target


class Whitened(Kind):
    """Keeps the matrix ``W_r`` of rank ``r`` with the least ``‖(W - W_r) S‖`` in Frobenius norm.

    ``S Sᵀ = X Xᵀ + ε m I``, where ``X`` is what the untouched model gives the matrix to read over some texts, a column
    for each token, ``m`` is the mean of the diagonal of ``X Xᵀ``, and ``ε`` is the option ``epsilon``. ``W_r`` is the
    truncated SVD of ``W S``, times ``S⁻¹``; ``r`` is the rank that ``svd`` leaves.

    The texts are the demonstrations of the trial's prompt, or the prompts of the first ``rows`` rows of validation,
    without their answers. Rows of the test split are never read.

    Source:
        Wang, Zheng, Wan and Zhang (2024), SVD-LLM, arXiv:2403.07378.
    """

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether all singular values are left."""
        return kept_of(clip.clip_rate, shape.full_rank) == shape.full_rank

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Parameters of the matrix or of its two factors, whichever are fewer."""
        return shape.parameters_at(kept_of(clip.clip_rate, shape.full_rank))

    def fingerprint(self, clip: Clip, shape: Shape) -> str:
        """The rank that is left, epsilon, and the texts; which rows those are the rest of a trial's identity says."""
        texts = self.texts(clip)
        rows = "" if texts.split == DEMONSTRATIONS else f" {texts.rows}"
        return f"{kept_of(clip.clip_rate, shape.full_rank)} epsilon {clip.option('epsilon')!r} {texts.split}{rows}"

    def check(self, clip: Clip, shape: Shape) -> None:
        """Refuse the experts of a mixture: which tokens each reads is known inside of them alone."""
        if shape.count > 1:
            raise SpecError(
                f"kind of clip 'whitened' cannot take module {clip.module!r} of layer {clip.layer}: it has "
                f"{shape.count} experts, and each reads other tokens; expected a matrix that reads every token. Clip "
                f"'attn', or take another kind."
            )

    def texts(self, clip: Clip) -> Texts:
        """What its inputs are taken from."""
        return Texts(clip.option("split"), clip.option("rows") or 0)

    def thin_rank(self, clip: Clip, shape: Shape) -> int:
        """The rank that is left."""
        return kept_of(clip.clip_rate, shape.full_rank)

    def factors(self, clip: Clip, target: Target) -> Factors:
        """What ``whiten`` gives; it is kept for clips of other rates."""
        epsilon = clip.option("epsilon")
        inputs = target.inputs(self.texts(clip))
        key = f"{target.name} whitened {epsilon!r} {inputs.key}"
        return target.keep(key, lambda: whiten(target.weight, inputs.gram(), epsilon, target.name))

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix of that rank, in float32."""
        return self.factors(clip, target).low_rank(kept_of(clip.clip_rate, min(target.weight.shape)))


def whiten(weight: Tensor, gram: Tensor, epsilon: float, name: str) -> Factors:
    """Factors whose first ``r`` give the matrix of rank ``r`` with the nearest regularised outputs.

    Args:
        weight: Shape ``(rows, cols)``.
        gram: ``X Xᵀ``, shape ``(cols, cols)``, float64.
        epsilon: Share of the mean of its diagonal that is added to each entry of the diagonal.
        name: What messages call the matrix.

    Returns:
        ``u`` and ``s`` of the SVD of ``W S``, and its ``vh`` times ``S⁻¹``, in float32; computed in float64, but for
        the SVD.

    Raises:
        EvaluationError: The inputs are all zero or not finite, epsilon is too small or too large for them, or the
            weights are not finite.
    """
    import torch

    from clipsweep.trials.clips.factors import Factors, compute_factors

    mean = gram.diagonal().mean()
    if not bool(torch.isfinite(gram).all()) or not mean > 0:
        raise EvaluationError(
            f"what {name} reads is {'zero throughout' if mean == 0 else 'not finite'}; expected finite inputs, not "
            f"all of them zero. Set model.dtype: float32, or clip other matrices."
        )
    ridge = epsilon * mean * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    root, failed = torch.linalg.cholesky_ex(gram + ridge)
    if bool(failed) or not bool(torch.isfinite(root).all()):
        raise EvaluationError(
            f"what {name} reads cannot be whitened with epsilon {epsilon!r}, which is too small or too large for it; "
            f"expected a share of the mean of its squares, such as 0.01. Set epsilon: 0.01 in the options of "
            f"kind 'whitened'."
        )
    found = compute_factors(weight.double() @ root, name)
    unscaled = torch.linalg.solve_triangular(root, found.vh.double(), upper=False, left=False)
    return Factors(u=found.u, s=found.s, vh=unscaled.float().contiguous())
