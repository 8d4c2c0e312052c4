"""Configuration of the documentation, see ``make docs``."""

import sys
from pathlib import Path

import sklstm

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklstm"
author = "The sklstm developers"
copyright = f"2026, {author}"
release = version = sklstm.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "math_pictures",
    "myst_parser",
    "numpydoc",
    "other_docs",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
nitpicky = True  # a name that leads nowhere is a warning, and so an error
html_math_renderer = "pictures"

smartquotes = False  # values of parameters stay as one types them
autodoc_typehints = "none"  # the docstrings say more
autodoc_member_order = "groupwise"
numpydoc_class_members_toctree = False  # methods are on the page of their class

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "ignore_pattern": r"^(demo|distributed)",
    "within_subsection_order": "gallery_order.ByInterest",
    "download_all_examples": False,
    "write_computation_times": False,
}

toc_object_entries_show_parents = "hide"  # "fit()", for which there is room

html_theme = "pydata_sphinx_theme"
html_title = f"sklstm {release}"
html_theme_options = {
    "header_links_before_dropdown": 7,  # all of them
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc", "sg_download_links"],  # the latter in the gallery
    "show_nav_level": 2,
}
# Pages that are no part of a section have nothing to show in the left sidebar.
html_sidebars = {page: [] for page in ("accuracy", "how_it_works", "index", "speed")}
html_static_path = ["_static"]
html_css_files = ["sklstm.css"]
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
