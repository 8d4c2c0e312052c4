"""Formulas as pictures inside the page: no script and no network, and the same in every browser."""

from typing import Any
from xml.etree import ElementTree

import ziamath
from docutils import nodes
from sphinx.application import Sphinx

SIZE = 16.0  # of the font, in the units of the picture; the page scales it like its text

ziamath.config.svg2 = False  # glyphs as paths: symbols would need names that are unique in a page
ziamath.config.precision = 2


def picture(tex: str, inline: bool) -> str:
    """Return a formula as an SVG element in the colour of the text."""
    if "&" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    formula = ziamath.Latex(tex, size=SIZE, color="currentColor", inline=inline)
    svg = formula.svgxml()
    svg.set("role", "img")
    svg.set("aria-label", tex)
    for side in ("width", "height"):
        svg.set(side, f"{float(svg.attrib[side]) / SIZE:.3f}em")
    if inline:
        svg.set("style", f"vertical-align: {formula.getyofst() / SIZE:.3f}em")
    return ElementTree.tostring(svg, encoding="unicode")


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(picture(node.astext(), inline=True))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="formula">{picture(node.astext(), inline=False)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("pictures", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
