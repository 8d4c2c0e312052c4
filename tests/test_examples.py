"""Each example runs as it stands, in a Python and a folder of its own, without a warning."""

from pathlib import Path

import pytest
from support.data import run_python

EXAMPLES = Path(__file__).parents[1] / "examples"

# Of what takes long: what is in the file, and what stands in for it here.
SMALLER = {"plot_adding_problem.py": ("draw_sequences(5000,", "draw_sequences(500,")}

# Where there is a display, Agg says that it cannot show a picture.
WARNINGS = ["-W", "error", "-W", "ignore:FigureCanvasAgg is non-interactive:UserWarning"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("plot_*.py")), ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    code = path.read_text(encoding="utf-8")
    if path.name in SMALLER:
        large, small = SMALLER[path.name]
        assert large in code
        code = code.replace(large, small)
    script = tmp_path / path.name
    script.write_text(code, encoding="utf-8")
    assert run_python(*WARNINGS, script.name, cwd=tmp_path)  # each prints a number
