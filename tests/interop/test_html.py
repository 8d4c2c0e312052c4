"""The HTML of a pipeline in a notebook, parsed and, if there is one, in a browser."""

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

from sklstm import SlidingWindow

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(
        not hasattr(BaseEstimator, "_get_params_html"),
        reason="scikit-learn shows parameters from 1.7 on",
    ),
]
both = pytest.mark.parametrize("cls", ESTIMATORS)

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
    .map(cell => [cell.firstChild.textContent, cell.nextElementSibling.innerText]
    .map(text => text.trim()));
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
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(4, lag=1), lstm)
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
def test_the_page_contains_every_parameter(cls):
    pipeline = fitted(cls)
    cells = Cells(pipeline._repr_html_()).cells
    names = [text.strip() for kind, text in cells if kind == "param"]
    for step in pipeline[1:]:
        assert set(step.get_params()) <= set(names)


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
