"""A page as HTML: one file without scripts that loads nothing, each value escaped by the template engine."""

import math
from base64 import b64encode
from functools import cache
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from parity.page.model import Bar, Beside, Gallery, Leaf, Links, Page, Picture, Stages, Table, Text, Way

# The powers of ten of a bound between which bars are drawn.
LOWEST, HIGHEST = -6, 10
KINDS = {
    Table: "table", Picture: "picture", Gallery: "gallery", Text: "text", Way: "way", Links: "links",
    Beside: "beside", Stages: "stages",
}  # fmt: skip
FORMATTER = HtmlFormatter(cssclass="code", nowrap=True)
WORDS = {"passed": "passed", "failed": "failed", "not_judged": "not judged"}
# What a browser may do with the page: nothing but show it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html(page: Page) -> str:
    """The page as a document."""
    return environment().get_template("page.html").render(page=page, policy=POLICY, bound=place(1.0))


def leaf(page: Leaf, searched: bool = False) -> str:
    """A page of a book as a document; only where it is `searched` does it have a script, which narrows its links."""
    script = loader().get_source(environment(), "search.js")[0].strip() if searched else ""
    allowed = (
        f"{POLICY}; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else POLICY
    )
    made = environment().get_template("leaf.html")
    return made.render(page=page, policy=allowed, script=Markup(script), bound=place(1.0))


@cache
def loader() -> PackageLoader:
    """Where the templates are."""
    return PackageLoader("parity.page", "templates")


@cache
def environment() -> Environment:
    """The template engine."""
    made = Environment(
        loader=loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"highlighted": highlighted, "length_of": length_of, "share": share, "word": WORDS.__getitem__}
    made.globals |= {"kind": lambda part: KINDS[type(part)]}
    return made


def highlighted(code: str, language: str) -> Markup:
    """Lines of code in colours; the highlighter escapes them."""
    return Markup(highlight(code, get_lexer_by_name(language), FORMATTER).rstrip("\n"))


def place(share: float) -> float:
    """Where a share of a bound lies on the axis of the bars, in per cent of its length."""
    if math.isinf(share):
        return 100.0
    exponent = math.log10(share) if share > 0 else LOWEST
    return round(100 * (min(max(exponent, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST), 1)


def length_of(bar: Bar) -> float:
    """How long a bar is, in per cent; one without a number is as long as can be where it failed."""
    if bar.share is None:
        return 100.0 if bar.result == "failed" else 0.0
    return max(place(bar.share), 1.0)


def share(bar: Bar) -> str:
    """A bar's share in figures."""
    if bar.result == "not_judged":
        return "not judged"
    if bar.share is None:
        return "differs"
    if bar.share >= 1e3:
        return f"{bar.share:.0e}\u00d7".replace("e+0", "e").replace("e+", "e")
    if bar.share >= 1:
        return f"{bar.share:.3g}\u00d7"
    return f"{bar.share:.0%}" if bar.share >= 0.01 else ("0" if bar.share == 0 else "< 1%")
