import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.spec.clip import Clip


def make_clip(layer: int = 0, module: str = "mlp", clip_rate: float = 0.5, kind: str = "svd") -> Clip:
    return Clip(layer=layer, module=module, clip_rate=clip_rate, kind=kind)


@pytest.mark.parametrize("clip_rate", [-0.1, 1.0, 9.5, float("nan")])
def test_a_clip_rate_outside_the_unit_interval_is_refused_with_the_mend(clip_rate: float) -> None:
    with pytest.raises(SpecError, match=r"expected a fraction in \[0, 1\).*divided by 10"):
        make_clip(clip_rate=clip_rate)


def test_a_negative_layer_is_refused() -> None:
    with pytest.raises(SpecError, match="layer is -1"):
        make_clip(layer=-1)


def test_an_unknown_module_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no module 'atn'.*Did you mean 'attn'"):
        make_clip(module="atn")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SpecError, match="no kind of clip 'svdd'"):
        make_clip(kind="svdd")
