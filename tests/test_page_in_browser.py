"""The HTML page in headless Chromium: what it loads, how it fits, its contrast, and the keyboard.

Needs Debian's packages chromium and chromium-driver and the Python package selenium.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from documents import real_document, write

from pytest_tt.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

webdriver: Any = pytest.importorskip(
    "selenium.webdriver", reason="THE PAGE IS NOT TESTED: no selenium (pip install selenium)"
)

# As WebDriver names the keys.
TAB, ENTER = "\ue004", "\ue007"

# A pair of colours with less contrast than WCAG 2 asks of text at level AA; the element's text, colours and ratio.
PALE = """
const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
const parse = text => text.match(/[\\d.]+/g).map(Number);
const ground = node => {
  for (let each = node; each; each = each.parentElement) {
    const colour = parse(getComputedStyle(each).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const pale = [];
let seen = 0;
for (const node of document.querySelectorAll("body *")) {
  if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
  if (node.closest(".unseen, .skip, title") || !node.getClientRects().length) continue;
  const style = getComputedStyle(node);
  const front = light(parse(node instanceof SVGElement ? style.fill : style.color)), back = light(ground(node));
  const ratio = (Math.max(front, back) + .05) / (Math.min(front, back) + .05);
  seen += 1;
  if (ratio < 4.5) pale.push(`${node.textContent.slice(0, 30)} ${style.color} on ${ground(node)}: ${ratio.toFixed(2)}`);
}
return [seen, pale];
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("THE PAGE IS NOT TESTED: no Chromium (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    # Containers seldom allow Chromium its sandbox, and have little shared memory. What is shown is a file of ours.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-device-scale-factor=1"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield chromium
    chromium.quit()


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Any:
    """The browser with a page of two real runs and a failure, wide and light."""
    documents = []
    for day in (1, 2):
        document = real_document()
        document["run"]["start"] = f"2026-08-0{day}T00:00:00+00:00"
        documents.append(str(write(tmp_path / f"{day}.json", document)))
    assert main(["report", *documents, "-o", str(tmp_path / "report.html")]) == 0
    look(browser, 1280, "light")
    browser.get((tmp_path / "report.html").as_uri())
    return browser


def look(browser: Any, width: int, scheme: str) -> None:
    """Make the window so wide, and have it prefer light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def press(browser: Any, key: str) -> Any:
    """Press a key; gives the element that then has the focus."""
    webdriver.ActionChains(browser).send_keys(key).perform()
    return browser.switch_to.active_element


def test_nothing_else_is_loaded_and_nothing_goes_wrong(shown: Any) -> None:
    assert "pytest-tt" in shown.title
    assert shown.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []
    assert shown.get_log("browser") == []
    asked = [
        entry["message"] for entry in shown.get_log("performance") if 'Network.requestWillBeSent"' in entry["message"]
    ]
    assert [text for text in asked if "http:" in text or "https:" in text] == []
    assert any("report.html" in text for text in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme: str, shown: Any) -> None:
    look(shown, 1280, scheme)
    shown.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    ground = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}[scheme]
    seen, pale = shown.execute_script(PALE)
    assert seen > 300
    assert pale == []


@pytest.mark.parametrize("width", [1280, 640, 340])
def test_page_never_scrolls_sideways(width: int, shown: Any) -> None:
    look(shown, width, "light")
    shown.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert shown.execute_script("return innerWidth") == width
    assert shown.execute_script("return document.documentElement.scrollWidth") <= width


def test_keyboard_alone(shown: Any) -> None:
    skip = press(shown, TAB)
    assert skip.text == "Skip to the results"
    assert skip.rect["y"] >= 0, "it comes into sight"
    main_part = press(shown, ENTER)
    assert main_part.get_attribute("id") == "results"
    stops = [press(shown, TAB) for _ in range(12)]
    assert stops[-1].value_of_css_property("outline-style") == "solid", "the focus can be seen"
    assert [stop.tag_name for stop in stops[:3]] == ["div", "a", "a"], "the table scrolls, and its cells are links"

    closed = "details:not([open]) > summary"
    summary = shown.find_element("css selector", closed)
    shown.execute_script("arguments[0].focus()", summary)
    assert press(shown, ENTER) == summary
    assert summary.find_element("xpath", "..").get_attribute("open") is not None


def test_link_to_a_test_opens_its_details(shown: Any) -> None:
    (test,) = (each for each in shown.find_elements("css selector", "details") if "[1x2]" in each.text)
    assert test.get_attribute("open") is None
    (link,) = (each for each in shown.find_elements("css selector", "tbody th a") if each.text == "test_layers[1x2]")
    link.send_keys(ENTER)
    assert test.get_attribute("open") is not None
    assert "2 parts over model" in test.text


def test_names_for_screen_readers(shown: Any) -> None:
    shown.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in shown.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        if not node["ignored"]
    ]
    roles = [role for role, _ in nodes]
    for role in ("table", "image", "link", "navigation", "group", "region", "DisclosureTriangle"):
        assert role in roles
    unnamed = ("table", "image", "link", "heading", "columnheader", "region")
    assert [node for node in nodes if node[0] in unnamed and not node[1]] == []
    assert ("heading", "Models and meshes") in nodes
    assert any(role == "image" and name.startswith("Errors of logits: ") for role, name in nodes)
    assert ("link", "1 passed") in nodes
