"""The course: every notebook runs to its end, folded solutions included, in time; it is stored without output."""

from __future__ import annotations

import re
import textwrap
from datetime import datetime
from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 180
"""What a notebook may take on two cores."""
SECTIONS = ("Goals", "Exercises", "Three questions", "What this model cannot show", "References")
FENCE = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)


def ids(path: Path) -> str:
    return path.stem


def test_every_text_has_its_notebook_and_the_other_way_round():
    texts = {path.stem for path in FOLDER.glob("*.py")}
    assert texts == {path.stem for path in NOTEBOOKS} != set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_notebook_and_text_are_the_same(path):
    """`make notebooks` writes the .ipynb from the .py; JupyterLab with jupytext keeps both when it saves."""
    notebook, text = nbformat.read(path, as_version=4), jupytext.read(path.with_suffix(".py"))
    cells = lambda book: [(cell.cell_type, cell.source) for cell in book.cells]
    assert cells(notebook) == cells(text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_notebook_is_stored_without_output(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_notebook_is_a_lesson(path):
    """The parts that every lesson has: goals, exercises with solutions, three questions, limits, references."""
    text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    assert [section for section in SECTIONS if section not in text] == []
    assert text.count("<summary>Solution</summary>") >= 3
    questions = text.partition("## Three questions")[2].partition("## ")[0]
    assert questions.count("<details>") == questions.count("</details>") == 3
    assert text.count("<details>") == text.count("</details>")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (FOLDER / link).exists(), link


def with_solutions(notebook):
    """The notebook with the code of each folded solution as a cell behind the one that folds it."""
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            for solution in FENCE.findall(cell.source):
                cells.append(nbformat.v4.new_code_cell(textwrap.dedent(solution), metadata={"solution": True}))
    notebook.cells = cells
    return notebook


def seconds(cell) -> float:
    """How long a cell ran."""
    began, ended = (cell.metadata.execution[name] for name in ("iopub.execute_input", "shell.execute_reply"))
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


@pytest.mark.slow
@pytest.mark.timeout(3 * SECONDS)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_notebook_runs(path):
    notebook = with_solutions(nbformat.read(path, as_version=4))
    client = nbclient.NotebookClient(
        notebook, timeout=2 * SECONDS, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(seconds(cell) for cell in code if not cell.metadata.get("solution")) < SECONDS
    said = [output.text for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    assert "".join(said) == ""  # no warning on a student's screen
