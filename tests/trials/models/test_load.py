import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.load import load_model


def test_a_checkpoint_that_lacks_weights_is_refused(tiny_gptj: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_gptj, tmp_path / "partial")
    tensors = load_file(tiny_gptj / "model.safetensors")
    tensors.pop("transformer.h.1.mlp.fc_in.weight")
    save_file(tensors, tmp_path / "partial" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the files lack 1 tensor \(transformer.h.1.mlp.fc_in.weight\)"):
        load_model(tmp_path / "partial", "float32", "cpu")
