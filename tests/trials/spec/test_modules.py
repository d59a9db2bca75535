from typing import get_args

from clipsweep.trials.spec.modules import MODULES, ModuleName


def test_a_study_can_name_every_module_and_no_other() -> None:
    assert get_args(ModuleName) == tuple(MODULES)
