"""The code in README.md and docs/ runs and prints what is documented; the API page is complete."""

import contextlib
import csv
import doctest
import importlib
import io
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCTEST_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# A fenced block of Markdown, a directive of reStructuredText, or prompts outside of both.
BLOCK = re.compile(
    r"^```(?P<fence>\w+)\n(?P<fenced>(?:.*\n)*?)```$"
    r"|^\.\. code-block:: (?P<directive>\w+)\n(?P<indented>(?:[ ]+.*\n|\n)+)"
    r"|^(?P<prompts>[ ]*>>> .*\n(?:.*\S.*\n)*)",
    re.MULTILINE,
)


def read(path):
    return path.read_text(encoding="utf-8")


PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "docs/*.rst", "docs/guide/*.rst")
    for path in sorted(ROOT.glob(pattern))
    if re.search(r"^```python|^\.\. code-block:: python|^ *>>> ", read(path), re.MULTILINE)
]


def run_page(path):
    """Run the Python blocks of a page, in order and in one namespace.

    A block with prompts is a doctest. If a block of text follows any other block, it must be the
    output of that block.
    """
    page = read(path)
    namespace = {"__name__": "__main__"}
    printed = None
    for block in BLOCK.finditer(page):
        language = block["fence"] or block["directive"] or "python"
        code = textwrap.dedent(block[block.lastgroup])
        n_lines_before = page.count("\n", 0, block.start(block.lastgroup))
        if language == "text" and printed is not None:
            assert printed.strip() == code.strip(), f"{path}, line {n_lines_before + 1}"
        printed = None
        if language == "python" and ">>> " in code:
            run_prompts(code, namespace, path, n_lines_before)
        elif language == "python":
            # Empty lines in front, so that a traceback shows the line numbers of the page.
            program = compile("\n" * n_lines_before + code, path, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(program, namespace)
            printed = output.getvalue()


def run_prompts(code, namespace, path, n_lines_before):
    """Run a block with prompts; fail with the report of doctest, which names file and line."""
    examples = doctest.DocTestParser().get_examples(code)
    test = doctest.DocTest(examples, {}, path.name, str(path), n_lines_before, code)
    test.globs = namespace  # not a copy of it
    runner = doctest.DocTestRunner(optionflags=DOCTEST_OPTIONS)
    report = io.StringIO()
    if runner.run(test, out=report.write, clear_globs=False).failed:
        pytest.fail(report.getvalue(), pytrace=False)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_code_of_a_page_prints_the_documented_output(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some blocks write files
    run_page(path)


GOOD_MD = """
```python
x = 2
print(x)
```

```text
2
```

```bash
not python
```
"""
GOOD_RST = """
.. code-block:: python

    x = 2

    print(x)

Text.

>>> x + 1
3
"""


@pytest.mark.parametrize(
    ("name", "page"), [("page.md", GOOD_MD), ("page.rst", GOOD_RST)], ids=["md", "rst"]
)
def test_run_page_accepts_a_good_page(name, page, tmp_path):
    path = tmp_path / name
    path.write_text(page, encoding="utf-8")
    run_page(path)


@pytest.mark.parametrize(
    ("name", "page", "line"),
    [
        ("printed.md", GOOD_MD.replace("\n2\n", "\n3\n"), 8),
        ("raises.md", GOOD_MD.replace("print(x)", "print(y)"), 4),
        ("not_python.md", GOOD_MD.replace("bash", "python"), 12),
        ("raises.rst", GOOD_RST.replace("print(x)", "print(y)"), 6),
        ("prompts.rst", GOOD_RST.replace("x + 1", "x + 2"), 10),
    ],
    ids=["output", "error in md", "no Python", "error in rst", "prompts"],
)
def test_run_page_names_file_and_line_of_an_error(name, page, line, tmp_path):
    path = tmp_path / name
    path.write_text(page, encoding="utf-8")
    with pytest.raises(BaseException) as error:  # noqa: PT011 - pytest.fail raises no Exception
        run_page(path)
    *_, last = error.traceback
    report = f"{error.value}\n{last.path}, line {last.lineno + 1}"
    assert re.search(rf"{re.escape(name)}\W+line {line}\b", report)


def measured(name, key):
    """Return the row of a table in docs/ that begins with a key, by column."""
    with (ROOT / "docs" / name).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return next(dict(zip(header, row, strict=True)) for row in rows if row[0] == key)


def test_the_front_page_shows_the_measured_numbers():
    summary = [
        measured("accuracy/summary.csv", model)["mean ratio to the ridge"]
        for model in ("sklstm", "ridge", "boosting", "PyTorch LSTM")
    ]
    digits = measured("accuracy/sequences.csv", "spoken digits")
    digits = [digits[model] for model in ("sklstm", "linear", "boosting", "PyTorch LSTM")]
    scripts = [measured("speed/end_to_end.csv", library) for library in ("sklstm", "torch")]
    expected = [
        *summary,
        *(cell.strip("*").partition("*")[0].split(" ")[0] for cell in digits),
        *(f"{float(script['seconds']):.1f}" for script in scripts),
        *(script["installed, MiB"] for script in scripts),
    ]
    page = read(ROOT / "docs" / "index.rst")
    table = re.search(r":class: results\n((?:.*\n)+?)\n\S", page)[1]
    assert re.findall(r"^      - \**([\d.]+)", table, re.MULTILINE) == expected
    with_ridge = measured("accuracy/summary.csv", "PyTorch LSTM + ridge")["mean ratio to the ridge"]
    assert f"its error is {with_ridge}." in page


def listed_names(page):
    """Return the names that the API page lists, by module."""
    parts = re.split(r"^\.\. currentmodule:: (\S+)$", page, flags=re.MULTILINE)[1:]
    return {
        module: [
            *re.findall(r"^    (\w+)$", part, re.MULTILINE),
            *re.findall(r"^\.\. py:data:: (\w+)$", part, re.MULTILINE),
        ]
        for module, part in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize(
    "module", ["sklstm", "sklstm.nn", "sklstm.datasets", "sklstm.interop", "sklstm.runtime"]
)
def test_the_api_page_lists_the_public_names(module):
    listed = listed_names(read(ROOT / "docs" / "api.rst"))[module]
    assert sorted(listed) == sorted(importlib.import_module(module).__all__)


def anchors(page):
    """Return the names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_the_links_within_the_repository_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", read(path))
    for name, anchor in links:
        target = path.parent / name if name else path
        assert target.is_file(), name
        assert not anchor or anchor in anchors(read(target)), anchor


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_make_targets_in_the_text_exist(name):
    named = set(re.findall(r"^make ([\w-]+)|`make ([\w-]+)`", read(ROOT / name), re.MULTILINE))
    targets = set(re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    assert {"".join(pair) for pair in named} <= targets
