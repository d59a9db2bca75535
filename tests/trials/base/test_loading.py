import gc
import subprocess
import sys

from clipsweep.trials.base.loading import nothing_collected

FROZEN = "import gc; from clipsweep.trials.base.loading import nothing_collected as block\n{load}\nwith block(): pass\n"


def frozen_after(load: str) -> int:
    """How many objects Python never looks through again after the block, in a process that loads something before."""
    code = FROZEN.format(load=load) + "print(gc.get_freeze_count())"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_what_the_first_to_load_torch_makes_is_never_looked_through() -> None:
    assert frozen_after("") > 0


def test_what_is_there_since_torch_was_loaded_can_still_be_collected() -> None:
    assert frozen_after("import sys; sys.modules['torch'] = gc") == 0


def test_garbage_is_collected_again_after_the_block() -> None:
    with nothing_collected():
        assert not gc.isenabled()
    assert gc.isenabled()
