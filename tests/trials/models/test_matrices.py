import torch

from clipsweep.trials.models.matrices import Matrix


def test_values_are_rounded_once_and_other_rows_stay() -> None:
    stored = torch.randn(4, 12, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    values = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    before = stored.clone()
    Matrix(parameter="w", rows=6, cols=4, transposed=True, groups=3, start=1, stop=3).write(stored, values)
    assert torch.equal(stored.T.view(3, 4, 4)[:, 1:3].reshape(6, 4), values.bfloat16())
    assert torch.equal(stored.T.view(3, 4, 4)[:, [0, 3]], before.T.view(3, 4, 4)[:, [0, 3]])
