"""Each example runs in a new process and an empty folder without a warning."""

import re
from pathlib import Path

import pytest
from support.data import run_python

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# What is replaced in examples that take long, and its replacement.
SMALLER = {
    "plot_adding_problem.py": ("draw_sequences(5000,", "draw_sequences(500,"),
    "plot_every_step.py": ("n_timesteps=240", "n_timesteps=120"),
    "plot_known_ahead.py": ("24 * 7 * 52", "24 * 7 * 12"),
    "plot_train_on_series.py": ("draw_visitors(16,", "draw_visitors(8,"),
}

# If there is a display, Agg warns that it cannot show a figure.
WARNINGS = ["-W", "error", "-W", "ignore:FigureCanvasAgg is non-interactive:UserWarning"]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("plot_*.py")), ids=lambda path: path.stem)
def test_an_example_runs_without_a_warning(path, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    code = path.read_text(encoding="utf-8")
    if path.name in SMALLER:
        large, small = SMALLER[path.name]
        assert large in code
        code = code.replace(large, small)
    script = tmp_path / path.name
    script.write_text(code, encoding="utf-8")
    assert run_python(*WARNINGS, script.name, cwd=tmp_path)  # every example prints something


@pytest.mark.slow
def test_the_demo_prints_the_tables_of_the_readme(tmp_path):
    printed = run_python("-W", "error", EXAMPLES / "demo.py", cwd=tmp_path)
    assert (tmp_path / "demo-output" / "demo.png").stat().st_size > 10_000
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for first_word in ("RMSE", "accuracy  "):
        table = re.search(rf"^```text\n({first_word}.*?)```$", readme, re.MULTILINE | re.DOTALL)[1]
        lines = table.splitlines()
        assert len(lines) > 3
        for line in lines:
            if line.startswith("boosting"):  # its numbers change with the version of scikit-learn
                line = line[:20]
            assert line in printed
