from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from medground.cards.blocks import Drawn
from medground.cards.evidence import Evidence, evidence_of
from medground.cards.facts import facts_of
from medground.cards.markdown import markdown_of
from medground.cards.page import page_of
from medground.cards.pictures import draw_failures
from medground.cards.plots import plot_of
from medground.schema.errors import CardError
from tests.cards.made_evidence import files_of, four_films
from tests.cards.test_failures import scene as failing_phantoms

CHROMIUM = "/usr/bin/chromium"


class Seen(HTMLParser):
    """Every tag with its attributes, and the words between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    scenes = {"films": four_films(), "phantom": failing_phantoms()}
    pictures = {f"pictures/{name}": content for name, content in draw_failures(scenes).items()}
    return evidence_of(files_of(scenes) | pictures)


@pytest.fixture(scope="module")
def facts(evidence):
    return facts_of(evidence)


@pytest.fixture(scope="module")
def page(evidence, facts) -> str:
    return page_of(facts, evidence.pictures).decode()


def test_nothing_is_fetched_but_by_following_a_link(page):
    tags = Seen(page).tags
    assert {tag for tag, _ in tags} & {"script", "link", "iframe", "object", "embed", "base"} == set()
    assert all(value["src"].startswith("data:image/png;base64,") for tag, value in tags if "src" in value)
    addresses = [value["href"] for tag, value in tags if "href" in value]
    assert {tag for tag, value in tags if "href" in value} == {"a"}
    assert all(address.startswith(("#", "https://")) for address in addresses)
    assert re.search(r"url\(|@import", page) is None
    without_links = re.sub(r'<a href="[^"]*">[^<]*</a>', "", page)
    assert "://" not in without_links


def test_chapters_lead_somewhere(page):
    tags = Seen(page).tags
    ids = {value["id"] for _, value in tags if "id" in value}
    assert {value["href"][1:] for tag, value in tags if tag == "a" and value["href"].startswith("#")} <= ids


def test_it_says_what_the_markdown_says(page, facts):
    words = "".join("".join(Seen(page).words).split())
    text = re.sub(r"\[([^]]*)\]\(#[^)]*\)", r"\1", markdown_of(facts).decode().replace("\\", ""))
    for line in text.splitlines():
        for cell in re.split(r"\|", line.strip("|#-* ")):
            told = "".join(cell.strip("#*- ").replace("<http", "http").replace(">", "").split())
            assert told in words or line.startswith(("!", "|--")) or not told, told


def test_every_plot_is_there_and_the_same_each_time(page, facts, evidence):
    assert page.count("<svg ") == 5  # precision and FROC of both, calibration of the films
    assert page_of(facts, evidence.pictures).decode() == page
    one = facts.evaluations[0]
    drawn = plot_of(Drawn.FROC, one)
    ys = [float(y) for y in re.findall(r'points="[^"]*"', drawn)[1].split()[-1].rstrip('"').split(",")[1:]]
    assert ys == [22 + (134 - 48) * 0.5]  # the nodule, of which half is found at eight false boxes an image
    assert plot_of(Drawn.CALIBRATION, facts.evaluations[1]) == ""  # nobody asked the phantoms anything


def test_a_picture_that_is_not_there_is_an_error(facts):
    with pytest.raises(CardError, match="is not among the pictures"):
        page_of(facts, {})


@pytest.fixture
def opened(page, tmp_path):
    path = tmp_path / "model_card.html"
    path.write_text(page)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser, path
        browser.close()


def luminance(page: Page, selector: str, name: str) -> float:
    text = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}")
    return sum(map(float, re.findall(r"\d+", text)[:3])) / 765


@pytest.mark.judge("chromium")
def test_it_is_read_in_light_dark_and_print(opened: tuple, tmp_path: Path) -> None:
    browser, path = opened
    asked: list[str] = []
    for scheme, width, is_light in (("light", 1200, True), ("dark", 1200, False), ("dark", 390, False)):
        page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: asked.append(message.text))
        page.goto(path.as_uri())
        assert (luminance(page, "body", "backgroundColor") > 0.5) == is_light
        assert abs(luminance(page, "body", "backgroundColor") - luminance(page, "p", "color")) > 0.6
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    # On paper it is dark on white, whatever the screen is, and nothing is wider than A4 between its margins.
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 980})
    assert luminance(page, "body", "backgroundColor") > 0.9
    assert luminance(page, "p", "color") < 0.3
    assert page.evaluate("document.documentElement.scrollWidth") == 690
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
