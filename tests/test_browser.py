"""Pages in a browser: nothing said on its console, nothing asked of a network, nothing cut off, and what axe-core finds
that would keep somebody out. Reports of every verdict, a user's own pair, and the book."""

import shutil
from dataclasses import replace

import pytest
from conftest import shortened
from own_pairs import PAIRS

from parity import compare, explain
from parity.page import PAGE
from parity.ports.check import Request, checked

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = (360, 800, 1600)
PAGES = ("parity", "stock_adam", "incomparable", "own_pair", "book", "entry")

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(BROWSER is None, reason="there is no chromium"),
]


@pytest.fixture(scope="module")
def pages(clean_pair, record_pair, own_workers, tmp_path_factory):
    """The files of pages, by what they are of."""
    folder = tmp_path_factory.mktemp("pages")
    made = {name: folder / f"{name}.html" for name in ("parity", "stock_adam", "incomparable")}

    def report(name, sides, status):
        given = [*(str(side.folder) for side in sides), "--html", str(made[name]), "--quiet"]
        assert compare.main(given) == status

    report("parity", clean_pair, 0)
    other = shortened("mnist_softmax", 6)
    stock = replace(other, tf=replace(other.tf, adam_epsilon="before_correction", epsilon_value="keras_default"))
    apart = record_pair(stock, folder / "recordings")
    report("stock_adam", apart, 1)
    report("incomparable", (clean_pair[0], apart[1]), 3)
    pair = PAIRS["conv_batchnorm"]
    paths = pair.write(folder / "own", pair.faults[0])
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    assert checked(request, own_workers, folder / "checked").verdict == "mismatch"
    assert explain.main(["--html", str(folder / "book"), "--no-run"]) == 0
    return made | {
        "own_pair": folder / "checked" / PAGE,
        "book": folder / "book" / "index.html",
        "entry": folder / "book" / "flatten_order.html",
    }


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def opened(browser):
    """A function (file, width, colour scheme) that opens a page, and notes what it says and asks for."""
    contexts, noted = [], []

    def open_page(path, width, scheme="light", **more):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more))
        page = contexts[-1].new_page()
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on("request", lambda request: noted.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Pages lead to one another, and nowhere else.
    assert [said for said in noted if not said.startswith(("file:", "data:"))] == []


UNFOLD = "document.querySelectorAll('details').forEach(part => { part.open = true })"
# How far what is to be read sticks out of the window, and out of whatever hides what sticks out.
CUT = """() => {
    const root = document.documentElement, hidden = [...document.querySelectorAll("*")].filter(element => {
        const style = getComputedStyle(element);
        return style.overflowX == "hidden" && element.scrollWidth > element.clientWidth + 1
            && !element.closest("svg") && element.clientWidth > 1;
    });
    return [root.scrollWidth - root.clientWidth, hidden.map(element => element.outerHTML.slice(0, 80))];
}"""


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_or_asked_for(name, pages, opened):
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = opened(pages[name], width, scheme)
            assert page.evaluate(CUT) == [0, []], (width, scheme)
            page.evaluate(UNFOLD)
            assert page.evaluate(CUT) == [0, []], (width, scheme, "open")


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_everything_is_seen(name, pages, opened):
    """On a sheet of A4, at 96 pixels an inch; what a click would open is printed as well."""
    page = opened(pages[name], 794)
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == [0, []]
    assert page.locator("details > :not(summary)").count() == page.locator("details > :not(summary):visible").count()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(name, pages, opened):
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        # The page's own policy lets no script in, axe's neither.
        page = opened(pages[name], 1200, scheme, bypass_csp=True)
        page.evaluate(UNFOLD)
        found = Axe().run(page).response
        assert found["passes"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []


def test_the_stages_stand_in_the_first_screen(pages, opened):
    for width in WIDTHS:
        page = opened(pages["parity"], width)
        assert page.locator(".stages").first.bounding_box()["y"] < 900
        assert page.locator("svg").count() >= 5


def test_what_is_planted_is_seen(pages, opened):
    """A picture without words and a line that is too wide are found."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened(pages["parity"], 800, bypass_csp=True)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\"><p style=\"width: 900px\">x</p>')"
    )
    assert page.evaluate(CUT)[0] > 0
    assert "image-alt" in {rule["id"] for rule in Axe().run(page).response["violations"]}


def test_the_book_is_searched(pages, opened):
    """A word of a script leads to its page, by keyboard."""
    page = opened(pages["book"], 800)
    page.get_by_role("searchbox").press_sequentially("pack_padded_sequence")
    links = page.locator("a:visible")
    assert 1 <= links.count() <= 5
    links.first.press("Enter")
    page.wait_for_load_state()
    assert "pack_padded_sequence" in page.content()
