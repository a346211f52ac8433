"""Sphinx configuration of the documentation site; `build.py` calls Sphinx with it.

Nothing is loaded from a network: equations are MathML, which browsers render themselves, and the
results of a search contain no excerpts, which pages opened from a file could not load.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.util import logging

from milmer_cli import __version__

logger = logging.getLogger(__name__)

project = "Milmer"
project_copyright = "the authors of Milmer"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns: list[str] = []

# Markdown: what GitHub renders as well, and the directives of the generated pages.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Docstrings: `name` is a link where the site documents the name, and code elsewhere.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    ("py:(class|exc|data)", r"(?!milmer_cli\.).*"),  # types of libraries, and shapes of arrays
    ("py:class", r"milmer_cli\.(?!store\.Prepared|models\.Milmer).*"),  # types of internal modules
]
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"Milmer {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": False}


def _visit_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def _visit_displaymath(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="equation">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.Node, as_block: bool) -> str:
    try:
        return str(tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        logger.warning("%s", error, location=node)
        return ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer of equations, and commands and settings as objects of the search."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(_visit_math, None),
        block_renderers=(_visit_displaymath, None),
    )
    app.add_lexer("csv", TextLexer)  # Pygments has no lexer for CSV
    app.add_object_type("command", "command", objname="command")
    app.add_object_type("setting", "setting", objname="setting")
    return {"parallel_read_safe": True}
