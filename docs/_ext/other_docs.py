"""Links to the documentation of other libraries, and of their inherited docstrings.

The addresses follow from the names. So, unlike with intersphinx, a build needs no network.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PAGES = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{}.html",
    "matplotlib": "https://matplotlib.org/stable/api/_as_gen/{}.html",
    "multiprocessing": "https://docs.python.org/3/library/{}.html",
}


def link_to_other_docs(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Return a link for a name of another library, None for all else."""
    name = node.get("reftarget", "")
    page = PAGES.get(name.partition(".")[0])
    if node.get("refdomain") != "py" or page is None:
        return None
    link = nodes.reference("", "", internal=False, refuri=page.format(name))
    link += text
    return link


def drop_labels_of_sklearn(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Make plain text of what inherited docstrings refer to in scikit-learn's own guide."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        text = "\n".join(lines)
        lines[:] = re.sub(r":(?:ref|term):`([^`<]+?)(?:\s*<[^`]*>)?`", r"\1", text).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", link_to_other_docs)
    app.connect("autodoc-process-docstring", drop_labels_of_sklearn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
