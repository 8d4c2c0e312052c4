"""The HTML of estimators in a notebook, parsed and, if there is one, in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import ESTIMATORS

from sklstm import SlidingWindow, TimestepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)
shows_parameters = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_params_html"),
    reason="scikit-learn shows parameters from 1.7 on",
)

DOCUMENTATION = "https://sklstm.readthedocs.io/en/stable/generated/sklstm."

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

# Opens all elements; reports the visible parameters and the errors in scripts.
SCRIPT = """
<script>
const errors = [];
window.addEventListener("error", event => errors.push(event.message));
window.addEventListener("load", () => {
  document.querySelectorAll("input").forEach(input => { input.checked = true; });
  document.querySelectorAll("details").forEach(details => { details.open = true; });
  const seen = [...document.querySelectorAll("td.param")]
    .filter(cell => cell.checkVisibility() && cell.getBoundingClientRect().width > 0)
    .map(cell => [cell.textContent, cell.nextElementSibling.innerText].map(text => text.trim()))
    .map(([name, value]) => [name.split(/\\s/)[0], value]);  // a tooltip follows the name
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = JSON.stringify({errors, seen});
  document.body.append(report);
});
</script>
"""


def fitted(cls):
    X = np.random.RandomState(0).normal(size=(40, 2))
    lstm = cls((4, 3), max_iter=2, random_state=0)
    pipeline = make_pipeline(TimestepTransformer(StandardScaler()), SlidingWindow(4, lag=1), lstm)
    return pipeline.fit(X, X[:, 0] > 0)


def shown_in_browser(pipeline, directory):
    page = directory / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8">{SCRIPT}<body>{pipeline._repr_html_()}</body>',
        encoding="utf-8",
    )
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={directory / 'profile'}", page.as_uri()]
    dom = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout
    report = re.search(r'<pre id="report">(.*?)</pre>', dom, re.DOTALL)[1]
    return json.loads(html.unescape(report))


class Cells(HTMLParser):
    """The texts of the table cells with their classes, in the order of the page."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.kind = [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "td":
            self.kind = dict(attrs).get("class")
            self.cells.append([self.kind, ""])

    def handle_endtag(self, tag):
        if tag == "td":
            self.kind = None

    def handle_data(self, data):
        if self.kind is not None:
            self.cells[-1][1] += data


@both
def test_an_estimator_links_to_its_page_of_the_documentation(cls):
    pipeline = fitted(cls)
    for step in pipeline:
        page = f"{DOCUMENTATION}{type(step).__name__}.html"
        assert f'href="{page}"' in step._repr_html_()
        assert f'href="{page}"' in pipeline._repr_html_()


def test_a_class_of_a_user_links_to_no_page():
    class Mine(SlidingWindow):
        pass

    assert DOCUMENTATION not in Mine()._repr_html_()


@shows_parameters
@both
def test_the_page_contains_every_parameter(cls):
    pipeline = fitted(cls)
    cells = Cells(pipeline._repr_html_()).cells
    names = [text.split()[0] for kind, text in cells if kind == "param"]  # before the tooltip
    for step in pipeline[1:]:
        assert set(step.get_params()) <= set(names)


@both
def test_every_parameter_and_fitted_attribute_has_a_tooltip(cls):
    pipeline = fitted(cls)
    page = pipeline._repr_html_()
    if "param-doc-description" not in page:
        pytest.skip("scikit-learn shows tooltips from 1.8 on")
    described = re.findall(r"(\w+)\s*<span class=\"param-doc-description\"", page)
    for step in pipeline:
        names = set(step.get_params(deep=False))
        if hasattr(step, "_get_fitted_attr_html"):
            names |= set(step._get_fitted_attr_html())
        assert names <= set(described)


@shows_parameters
@both
@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_a_browser_shows_every_parameter(cls, tmp_path):
    pipeline = fitted(cls)
    report = shown_in_browser(pipeline, tmp_path)
    assert report["errors"] == []
    assert ["window_size", "4"] in report["seen"]
    assert ["random_state", "0"] in report["seen"]
    names = [name for name, _ in report["seen"]]
    for step in pipeline[1:]:
        assert set(step.get_params()) <= set(names)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_the_report_lists_errors_and_omits_hidden_cells(tmp_path):
    class Page:
        def _repr_html_(self):
            return '<table hidden><td class="param">a</td><td>1</td></table><script>b()</script>'

    report = shown_in_browser(Page(), tmp_path)
    assert report["seen"] == []
    assert report["errors"] == ["Uncaught ReferenceError: b is not defined"]
