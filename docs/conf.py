"""The site: Sphinx over the Markdown of this folder. ``make docs`` builds it into ``build/site``."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # made_pages

from sphinx.application import Sphinx

from clipsweep.trials.base.versions import __version__

project = "clipsweep"
project_copyright = "the authors of clipsweep"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "made_pages"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["notebook.ipynb"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
highlight_language = "none"  # of indented blocks: commands and what they print

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 60  # longer ones have a line for each argument
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Source", "returns_style")]

html_theme = "furo"  # its fonts are the system's, and nothing of it is fetched
html_title = "clipsweep"
html_static_path = ["style"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}


def setup(app: Sphinx) -> None:
    """Connect what is mended on the way from the files to the site."""
    app.connect("source-read", _link_to_files)
    app.connect("autodoc-process-docstring", _keep_sentences, priority=400)  # before napoleon
    app.connect("html-page-context", _level_captions, priority=900)  # after furo
    app.connect("build-finished", _span_parameters)


def _link_to_files(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Let links to pages of Markdown outside this folder lead to the files, as those to data do."""
    above = "../" * (docname.count("/") + 1)
    content[0] = re.sub(rf"\]\(({re.escape(above)}[^)#]*\.md)(?:#[^)]*)?\)", r"](path:\1)", content[0])


def _keep_sentences(_app: Sphinx, what: str, _name: str, _found: object, _options: object, lines: list[str]) -> None:
    """Say that a sentence with a colon is no type: napoleon takes what stands before one for it."""
    starts = [number + 1 for number, line in enumerate(lines) if line.strip() in {"Returns:", "Yields:", "Source:"}]
    for number in [*starts, *([0] if what == "property" else [])]:
        indent = len(lines[number]) - len(lines[number].lstrip())
        lines[number] = f"{lines[number][:indent]}: {lines[number][indent:]}"


def _level_captions(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Give the captions of the navigation their level: Sphinx calls them headings, and screen readers ask of which."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def _span_parameters(app: Sphinx, failure: Exception | None) -> None:
    """Make spans of the parameters of a signature, which Sphinx writes as a list of definitions without terms."""
    spans = {"<dl>": "<span>", "</dl>": "</span>", "<dd>": '<span class="parameter">', "</dd>": "</span>"}
    for page in [] if failure else Path(app.outdir).glob("reference/*.html"):
        text = page.read_text(encoding="utf-8")
        for signature in re.findall(r'<dt class="sig.*?</dt>', text, re.S):
            made = re.sub("|".join(spans), lambda tag: spans[tag[0]], signature)
            text = text.replace(signature, made)
        page.write_text(text, encoding="utf-8")
