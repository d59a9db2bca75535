import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.template import columns_of


@pytest.mark.parametrize("template", ["{text", "text}", "{text!}"])
def test_a_brace_without_its_partner_is_refused(template: str) -> None:
    with pytest.raises(TaskError, match="is malformed .*; write {{ and }} for literal braces"):
        columns_of(template)


@pytest.mark.parametrize("template", ["{}", "{0}", "{[0]}"])
def test_a_field_without_a_name_is_refused(template: str) -> None:
    with pytest.raises(TaskError, match="has a field without a name; expected the name of a column in braces"):
        columns_of(template)
