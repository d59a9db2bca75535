import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.load import load_model
from tests.trials.architectures import ARCHITECTURES, random_model


def test_a_checkpoint_that_lacks_weights_is_refused(tiny_gptj: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_gptj, tmp_path / "partial")
    tensors = load_file(tiny_gptj / "model.safetensors")
    tensors.pop("transformer.h.1.mlp.fc_in.weight")
    save_file(tensors, tmp_path / "partial" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the files lack 1 tensor \(transformer.h.1.mlp.fc_in.weight\)"):
        load_model(tmp_path / "partial", "float32", "cpu")


@pytest.mark.parametrize("name", ["gptj", "gpt_neo", "mixtral", "opt", "falcon-rw"])
def test_what_is_random_in_training_is_off_in_a_loaded_model(name: str, tmp_path: Path) -> None:
    config = ARCHITECTURES[name]()
    noisy = [key for key in vars(config) if "drop" in key or "jitter" in key]
    for key in noisy:
        setattr(config, key, 0.5)
    random_model(config).save_pretrained(tmp_path)
    model = load_model(tmp_path, "float32", "cpu")
    tokens = torch.arange(3, 40)[None]
    assert noisy
    assert torch.equal(model(tokens).logits, model(tokens).logits)
