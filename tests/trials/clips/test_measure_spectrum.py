from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.factors import compute_exact_values
from clipsweep.trials.clips.measure_spectrum import measure_spectrum, standard_deviation
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.models.find_layout import find_layout
from tests.trials.architectures import build_model


@pytest.fixture
def gptj() -> PreTrainedModel:
    return build_model("gptj")


def measure(model: PreTrainedModel, cache: Path, *places: Place, exact: bool = False) -> list[MatrixSpectrum]:
    return list(measure_spectrum(model, find_layout(model), places, FactorCache(cache), exact=exact))


def put(model: PreTrainedModel, name: str, diagonal: list[float]) -> None:
    """Make a parameter's first rows and columns a diagonal matrix, and all else zero."""
    weight = model.get_parameter(name).detach()
    weight.zero_()
    weight.diagonal().copy_(torch.tensor(diagonal).repeat(len(weight.diagonal()))[: len(weight.diagonal())])


def test_a_hand_made_matrix_has_the_condition_number_made_by_hand(gptj: PreTrainedModel, tmp_path: Path) -> None:
    put(gptj, "transformer.h.1.attn.q_proj.weight", [-8.0, 2.0, 4.0])
    (spectrum,) = measure(gptj, tmp_path, (1, "q"))
    assert spectrum.condition_number == 4.0
    assert (spectrum.layer, spectrum.role, spectrum.expert) == (1, "q", None)
    assert set(spectrum.singular_values) == {8.0, 4.0, 2.0}


def test_a_matrix_of_a_lower_rank_has_an_infinite_condition_number(gptj: PreTrainedModel, tmp_path: Path) -> None:
    put(gptj, "transformer.h.0.mlp.fc_in.weight", [3.0, 0.0])
    (spectrum,) = measure(gptj, tmp_path, (0, "fc_in"))
    assert spectrum.condition_number == np.inf


def test_fused_matrices_are_measured_role_by_role(tmp_path: Path) -> None:
    model = build_model("gpt2")
    fused = model.get_parameter("transformer.h.0.attn.c_attn.weight").detach().double().numpy()
    spectra = measure(model, tmp_path, (0, "q"), (0, "k"), (0, "v"))
    assert [spectrum.role for spectrum in spectra] == ["q", "k", "v"]
    for number, spectrum in enumerate(spectra):
        expected = np.linalg.svd(fused[:, 32 * number : 32 * (number + 1)], compute_uv=False)
        np.testing.assert_allclose(spectrum.singular_values, expected, rtol=1e-4, atol=1e-5)


def test_each_expert_of_a_mixture_is_a_matrix_of_its_own(tmp_path: Path) -> None:
    model = build_model("mixtral")
    spectra = measure(model, tmp_path, (0, "down"))
    stored = model.get_parameter(spectra[0].parameter).detach().double().numpy()
    assert [spectrum.expert for spectrum in spectra] == list(range(len(stored)))
    for spectrum, expert in zip(spectra, stored, strict=True):
        assert spectrum.condition_number == pytest.approx(np.linalg.cond(expert), rel=1e-3)


def test_factors_in_the_cache_are_used_and_no_svd_runs(
    gptj: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (computed,) = measure(gptj, tmp_path, (0, "q"))
    FactorCache(tmp_path).get(gptj.get_parameter("transformer.h.0.attn.q_proj.weight").detach(), "q")
    monkeypatch.delattr(torch.linalg, "svdvals")
    (read,) = measure(gptj, tmp_path, (0, "q"))
    np.testing.assert_allclose(read.singular_values, computed.singular_values, rtol=1e-5, atol=1e-6)


def test_measuring_adds_no_factors_to_the_cache(gptj: PreTrainedModel, tmp_path: Path) -> None:
    measure(gptj, tmp_path, (0, "q"))
    assert list((tmp_path / "factors").rglob("*.safetensors")) == []


def test_a_matrix_that_is_not_finite_is_named(gptj: PreTrainedModel, tmp_path: Path) -> None:
    gptj.get_parameter("transformer.h.1.attn.v_proj.weight").detach()[0, 0] = torch.nan
    named = r"layer 1 v \(transformer.h.1.attn.v_proj.weight\) has 1 weights of 1024 that are not finite"
    with pytest.raises(EvaluationError, match=named):
        measure(gptj, tmp_path, (0, "v"), (1, "v"))


def test_a_condition_number_beyond_float32_is_known_in_float64(gptj: PreTrainedModel, tmp_path: Path) -> None:
    weight = gptj.get_parameter("transformer.h.0.attn.q_proj.weight").detach()
    weight.copy_(torch.eye(32))
    weight[:2, :2] = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 2**-20]])  # its condition number is 4/e + 2, nearly
    (spectrum,) = measure(gptj, tmp_path, (0, "q"), exact=True)
    assert spectrum.condition_number_float64 == pytest.approx(2**22 + 2, rel=1e-9)
    assert abs(spectrum.condition_number - (2**22 + 2)) > 1


def test_the_entries_standard_deviation_is_that_of_all_of_them(gptj: PreTrainedModel, tmp_path: Path) -> None:
    weight = gptj.get_parameter("transformer.h.0.mlp.fc_in.weight").detach()
    weight.fill_(3.0)[::2] = 1.0  # half of the rows
    (spectrum,) = measure(gptj, tmp_path, (0, "fc_in"))
    assert spectrum.entry_std == 1.0


def test_the_standard_deviation_of_a_matrix_read_in_parts_is_that_of_numpy() -> None:
    weight = torch.randn(600, 7, generator=torch.Generator().manual_seed(0)) + 100
    assert standard_deviation(weight) == pytest.approx(weight.double().numpy().std(), rel=1e-12)


def test_what_takes_float64_is_left_out_unless_asked_for(gptj: PreTrainedModel, tmp_path: Path) -> None:
    (spectrum,) = measure(gptj, tmp_path, (0, "q"))
    assert spectrum.condition_number_float64 is None


def test_the_exact_condition_number_of_weights_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="w has 1 weights of 2 that are not finite"):
        compute_exact_values(torch.tensor([[1.0, torch.inf]]), "w")
