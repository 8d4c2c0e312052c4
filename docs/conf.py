"""Configuration of the documentation, see ``make docs``."""

import re
from typing import Any

from sphinx.application import Sphinx

import sklstm

project = "sklstm"
author = "The sklstm developers"
copyright = f"2026, {author}"
release = version = sklstm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

autodoc_typehints = "none"  # the docstrings say more
autodoc_member_order = "groupwise"
numpydoc_class_members_toctree = False  # methods are on the page of their class

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "ignore_pattern": "^demo",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sklstm {release}"
html_theme_options = {
    "header_links_before_dropdown": 7,  # all of them
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_nav_level": 2,
}
# Pages that are no part of a section have nothing to show in the left sidebar.
html_sidebars = {page: [] for page in ("accuracy", "how_it_works", "index", "speed")}
html_show_sourcelink = False


def drop_labels_of_sklearn(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Make plain text of what inherited docstrings refer to in scikit-learn's own guide."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        text = "\n".join(lines)
        lines[:] = re.sub(r":(?:ref|term):`([^`<]+?)(?:\s*<[^`]*>)?`", r"\1", text).split("\n")


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", drop_labels_of_sklearn)
