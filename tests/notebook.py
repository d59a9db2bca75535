"""The notebook of the documentation, run: by a test, and anew for the outputs that it shows.

python -m tests.notebook          # writes docs/notebook.ipynb with what its cells give now
"""

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.documents import DOCS

NOTEBOOK = DOCS / "notebook.ipynb"
KEPT = ("text/plain", "image/png")  # of an output; HTML and the like say the same again


def run_notebook(folder: Path) -> Any:
    """The notebook after a run in a folder of its own; an error in a cell is raised."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    return client.execute()


def main() -> None:
    """Run it and keep its light outputs."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = run_notebook(Path(folder))
    for cell in notebook.cells:
        cell.metadata = {}
        if "outputs" in cell:  # warnings are about the machine that it ran on
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            if "data" in output:  # what is printed has none
                output["data"] = {kind: content for kind, content in output["data"].items() if kind in KEPT}
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
