from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.plan.relative_work import RelativeWork
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TrialSpec

MakeStudy = Callable[..., dict[str, Any]]


def spec(*clips: Clip, split: str = "validation") -> TrialSpec:
    return TrialSpec(model="m", task="episodes", shots=2, demo_seed=0, split=split, clips=clips)


def test_deeper_clips_are_less_work_and_the_untouched_model_is_a_whole_pass(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    opened = prepare(check_study(make_study()), tmp_path / "s", cache).opened
    work = RelativeWork(opened)
    first, second = (spec(Clip(layer=layer, module="mlp", clip_rate=0.5)) for layer in (0, 1))
    specs = (spec(), first, second, spec(split="test"))
    whole, at_first, at_second, on_test = (work(each, resolve(each.clips, opened.subject.card)) for each in specs)
    assert whole == on_test == 20  # examples
    assert 20 > at_first > 10 * at_second
