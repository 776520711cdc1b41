"""How Sphinx makes the site of the documents: `make site`. Its source folder is the project's, so that links are those
that stand in the files."""

import keras_torch_parity

parity = keras_torch_parity.load_parity()

project = "keras-torch-parity"
author = "keras-torch-parity"
version = release = parity.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]
# The reader begins with the README, which index.html leads to.
root_doc = "README"
html_additional_pages = {"index": "start.html"}
templates_path = ["_templates"]
include_patterns = ["README.md", "README.ko.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "docs/tour.ipynb"]
# Folders that Sphinx would otherwise walk through.
exclude_patterns = [".*", "runs", "parity", "tests", "benchmarks", "site", "*.egg-info"]

html_theme = "furo"
html_title = "Keras and torch, compared"
html_show_copyright = html_show_sphinx = False
html_copy_source = False
# The documents' headings are links as on any host of Markdown.
myst_heading_anchors = 3
# The notebook shows what it gave when it was executed, which a test repeats.
nb_execution_mode = "off"
# What stands in single backticks in a docstring is code.
default_role = "code"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
# Blocks without a language are what a terminal shows.
highlight_language = "text"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_sidebars = {
    "**": [
        "sidebar/brand.html", "sidebar/search.html", "sidebar/scroll-start.html", "sidebar/navigation.html",
        "book.html", "sidebar/scroll-end.html",
    ]
}  # fmt: skip

CONTENTS = {
    "A pair of models": ["docs/own-pair", "docs/differences", "docs/activations", "docs/initializers"],
    "Two trainings": ["docs/verdict", "docs/lockstep", "docs/coverage", "docs/detection", "docs/honest",
                      "docs/published", "docs/matrix", "docs/gpu", "docs/speed"],
    "In Python": ["docs/tour", "docs/api"],
    "The project": ["한국어 <README.ko>", "CONTRIBUTING", "CHANGELOG"],
}  # fmt: skip


def contents() -> str:
    """The tables of contents, which the site's first page holds and other hosts of Markdown would show as code."""
    tables = ["\n".join([f":caption: {caption}", ":hidden:", "", *pages]) for caption, pages in CONTENTS.items()]
    return "".join(f"\n```{{toctree}}\n{table}\n```\n" for table in tables)


def add_contents(_app: object, page: str, source: list[str]) -> None:
    """Give the first page the tables of contents."""
    if page == root_doc:
        source[0] += contents()


def setup(app) -> None:
    app.connect("source-read", add_contents)
