from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.figures.theory.table import correlations_table
from clipsweep.analysis.theory.quantities import QUANTITIES, SIMPLEST, SPECTRUM, THEORY
from tests.analysis.theory_study import theory_of, theory_standings

Cells = dict[str, str | float | int | None]


def rows_of(table: Table | None) -> list[Cells]:
    assert table is not None
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_every_quantity_has_a_row_with_its_correlation_and_intervals() -> None:
    theory = theory_of(theory_standings())
    rows = {row["quantity"]: row for row in rows_of(correlations_table(theory))}
    assert {*rows} == {each.label for each in QUANTITIES.values()}
    (told,) = [each for each in theory.predictions.of_all if each.quantity == "clip_rate"]
    assert told.rho is not None
    assert told.by_layer is not None
    found = rows["clip rate"]
    assert (found["trials"], found["layers"], found["ρ"]) == (24, 4, f"{told.rho:+.2f}")
    assert found["95 % by layer"] == f"{told.by_layer[0]:+.2f} to {told.by_layer[1]:+.2f}"
    assert rows["condition number"]["ρ"] == "–"  # no singular values were measured


def test_modules_have_columns_of_their_own() -> None:
    theory = theory_of(theory_standings())
    rows = {row["quantity"]: row for row in rows_of(correlations_table(theory))}
    within = {(each.quantity, each.module): each.rho for each in theory.predictions.correlations}
    for module in ("attn", "mlp"):
        rho = within["sum_delta_w", module]
        assert rho is not None
        assert rows["Σ change of log‖ΔW_t‖"][f"ρ of {module}"] == f"{rho:+.2f}"


def test_the_theory_comes_first_and_the_strongest_first_in_each_group() -> None:
    rows = rows_of(correlations_table(theory_of(theory_standings())))
    groups = [row["of"] for row in rows]
    assert groups == sorted(groups, key=[THEORY, SPECTRUM, SIMPLEST].index)  # type: ignore[arg-type]
    sizes = [abs(float(str(row["ρ"]))) for row in rows if row["of"] == THEORY]
    assert sizes == sorted(sizes, reverse=True)


def test_of_nothing_measured_there_is_no_table() -> None:
    assert correlations_table(None) is None
    assert correlations_table(theory_of(theory_standings(measured=False))) is None
