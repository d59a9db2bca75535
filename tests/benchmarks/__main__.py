"""Run every benchmark in a process of its own and keep its document under ``results/``."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
PARTS = {
    *("__init__", "__main__", "document", "published", "raced_study", "scale_parts", "stored_studies", "sweeps"),
    *("compose_compared", "false_stops", "harness", "kinds_compared", "overhead", "replay"),
    *("round_trip", "surface_making", "surfaces", "test_surfaces"),
    *(
        "test_theory_heads",
        "test_theory_probes",
        "test_theory_stack",
        "test_theory_tables",
        "theory_bound",
        "theory_heads",
        "theory_probes",
        "theory_stack",
        "theory_tables",
    ),
}


def main() -> None:
    """One JSON file for each benchmark."""
    (FOLDER / "results").mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem not in PARTS:
            command = [sys.executable, "-m", f"tests.benchmarks.{path.stem}"]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            if printed:  # a benchmark without its machine says so on standard error, and prints nothing
                (FOLDER / "results" / f"{path.stem}.json").write_text(printed, encoding="utf-8")
                print(printed)


if __name__ == "__main__":
    main()
