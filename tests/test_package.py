"""The package: lazy imports, public names, the oldest supported versions, the wheel."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import sklstm

ROOT = Path(__file__).parents[1]


def run_python(code, *args):
    """Run code in a new process, in which every warning is an error."""
    subprocess.run([sys.executable, "-W", "error", "-c", code, *args], check=True, cwd=ROOT)


def test_sklstm_nn_needs_numpy_alone():
    run_python("""
import sys

blocked = ["joblib", "matplotlib", "pandas", "scipy", "sklearn"]
sys.modules.update(dict.fromkeys(blocked))  # None: importing it fails

import numpy as np
import sklstm

output = sklstm.nn.lstm(np.ones((2, 3, 1)), np.ones((4, 1)), np.ones((4, 1)), np.zeros(4))
assert output.shape == (2, 1)

try:
    sklstm.LSTMRegressor
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("scikit-learn is not blocked")
""")


@pytest.mark.slow
def test_importing_sklstm_imports_no_dependency():
    run_python("""
import sys
import sklstm

assert not {"joblib", "numpy", "scipy", "sklearn"} & set(sys.modules)
assert sklstm.datasets.load_airline().data.shape == (144, 1)
""")


@pytest.mark.parametrize("name", sklstm.__all__)
def test_a_public_name_can_be_imported_and_listed(name):
    assert getattr(sklstm, name) is not None
    assert name in dir(sklstm)


def test_an_unknown_name_raises():
    with pytest.raises(AttributeError, match="module 'sklstm' has no attribute 'GRURegressor'"):
        sklstm.GRURegressor  # noqa: B018


def test_the_oldest_supported_versions_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tested = (ROOT / "tests" / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    for requirement in project["dependencies"]:
        assert requirement.replace(">=", "==") + ".0" in tested


def test_what_is_imported_is_declared():
    # scikit-learn brings threadpoolctl along, so that no environment without it would tell.
    imported = set()
    for path in (ROOT / "sklstm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["plot"]
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}
    declared = {{"scikit-learn": "sklearn"}.get(name, name) for name in declared}
    by_the_caller = {"pandas"}  # only imported where its frames are given
    assert imported - sys.stdlib_module_names - {"sklstm"} - by_the_caller <= declared


def documented(estimator):
    """Return the parts of a class docstring by name: parameters, attributes, notes, references."""
    doc = inspect.getdoc(estimator)
    parts = re.findall(r"^(\w+(?= : )|\.\. \[\d\])(.*(?:\n .*)*)", doc, re.MULTILINE)
    notes = re.search(r"^Notes\n-----\n((?:.*\n)+?)\nReferences\n", doc, re.MULTILINE)
    return {**dict(parts), "Notes": notes[1]}


@pytest.mark.skipif(sys.flags.optimize > 1, reason="python -OO drops docstrings")
def test_the_estimators_document_what_they_share_in_the_same_words():
    # It is written out in both, since editors show docstrings without running any code.
    regressor, classifier = documented(sklstm.LSTMRegressor), documented(sklstm.LSTMClassifier)
    assert {*inspect.signature(sklstm.LSTMRegressor).parameters} <= {*regressor}
    shared = {*regressor} & {*classifier}
    assert {"alpha", "coefs_", ".. [5]", "Notes"} <= shared
    assert {name for name in shared if regressor[name] != classifier[name]} == {
        *("pooling", "linear_skip", "early_stopping", "validation_split"),
        *("out_activation_", "loss_curve_"),
    }


@pytest.mark.slow
def test_the_wheel_contains_the_package_its_data_and_the_licence(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    files = ZipFile(wheel)
    names = files.namelist()
    folders = {name.split("/")[0] for name in names}
    assert folders == {"sklstm", f"sklstm-{sklstm.__version__}.dist-info"}
    assert "sklstm/py.typed" in names
    assert f"sklstm-{sklstm.__version__}.dist-info/licenses/LICENSE" in names
    metadata = files.read(f"sklstm-{sklstm.__version__}.dist-info/METADATA").decode()
    assert len(re.findall(r"\]\(https://\S+\)", metadata)) > 9
    assert not re.findall(r"\]\((?!https://)", metadata)  # PyPI has no other files
    run_python(
        """
import sys

wheel = sys.argv[1]
sys.path.insert(0, wheel)
from sklstm import datasets

assert datasets.__file__.startswith(wheel)
for load in (datasets.load_airline, datasets.load_sunspots):
    assert "Licence" in load().DESCR
""",
        str(wheel),
    )


def test_the_released_version_is_dated_and_is_the_one_to_cite():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version = re.search(r"^version: (.+)$", citation, re.MULTILINE)[1]
    date = re.search(r"^date-released: (.+)$", citation, re.MULTILINE)[1]
    assert f"## [{version}] - {date}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert sklstm.__version__ == version or "dev" in sklstm.__version__
