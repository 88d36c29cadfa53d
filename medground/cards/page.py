"""`model_card.html`: the card as one page that needs no other file, in light, dark and print."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from itertools import groupby

from medground.cards.blocks import Block, Bullets, Cell, Picture, Plot, Section, Table, Words
from medground.cards.contents import CardFacts
from medground.cards.plots import plot_of
from medground.cards.sections import sections_of
from medground.schema.errors import CardError

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_LINK = re.compile(r"https?://[^\s<>\"]+")


def page_of(facts: CardFacts, pictures: Mapping[str, bytes]) -> bytes:
    """The card as a page; equal facts and pictures give equal bytes.

    Args:
        facts: of the card.
        pictures: file name to PNG of every known failure that has one.

    Raises:
        CardError: a picture is not there.
    """
    sections = sections_of(facts)
    style = (resources.files("medground.cards") / "page.css").read_text(encoding="utf-8")
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(sections[0].title)}: model card</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        "<main>",
        *_section(sections[0], 0, facts, pictures),
        *_contents(sections),
        *(line for n, section in enumerate(sections[1:], start=1) for line in _section(section, n, facts, pictures)),
        "</main>",
        "</body>",
        "</html>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _contents(sections: Sequence[Section]) -> Iterator[str]:
    chapters = [(n, section) for n, section in enumerate(sections) if section.level == 2]
    yield '<nav aria-label="Chapters"><ul>'
    yield from (f'<li><a href="#s{n}">{escape(section.title)}</a></li>' for n, section in chapters)
    yield "</ul></nav>"


def _section(section: Section, number: int, facts: CardFacts, pictures: Mapping[str, bytes]) -> Iterator[str]:
    level = f"h{section.level}"
    yield f'<{level} id="s{number}">{escape(section.title)}</{level}>'
    for is_picture, blocks in groupby(section.blocks, lambda block: isinstance(block, Picture)):
        if is_picture:
            yield '<div class="pictures">'
        for block in blocks:
            yield from _block(block, facts, pictures)
        if is_picture:
            yield "</div>"


def _block(block: Block, facts: CardFacts, pictures: Mapping[str, bytes]) -> Iterator[str]:
    if isinstance(block, Words):
        yield f'<p class="loud">{_linked(block.text)}</p>' if block.loud else f"<p>{_linked(block.text)}</p>"
    elif isinstance(block, Bullets):
        yield "<ul>"
        yield from (f"<li>{_linked(item)}</li>" for item in block.items)
        yield "</ul>"
    elif isinstance(block, Plot):
        yield from filter(None, [plot_of(block.kind, facts.evaluations[block.evaluation])])
    elif isinstance(block, Picture):
        yield from _figure(block, pictures)
    else:
        yield from _table(block)


def _figure(block: Picture, pictures: Mapping[str, bytes]) -> Iterator[str]:
    if block.file not in pictures:
        raise CardError(f"{block.file} is not among the pictures of the evidence: collect it anew")
    data = base64.b64encode(pictures[block.file]).decode()
    words = escape(block.words)
    yield f'<figure><img src="data:image/png;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def _table(block: Table) -> Iterator[str]:
    yield '<div class="wide"><table>'
    if any(block.heads):
        yield f"<thead><tr>{_cells(block.heads, block.words, 'th')}</tr></thead>"
    yield "<tbody>"
    yield from (f"<tr>{_cells(row, block.words, 'td')}</tr>" for row in block.rows)
    yield "</tbody></table></div>"


def _cells(cells: Sequence[Cell], words: int, tag: str) -> str:
    return "".join(
        f'<{tag} class="word">{_cell(cell)}</{tag}>' if n < words else f"<{tag}>{_cell(cell)}</{tag}>"
        for n, cell in enumerate(cells)
    )


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return _linked(cell)
    leads = [f'<a href="#s{number}">{escape(title)}</a>' for title, number in cell.to]
    return "; ".join(leads) + _linked(cell.words)


def _linked(text: str) -> str:
    """Escaped words in which addresses are plain links."""
    parts, end = [], 0
    for link in _LINK.finditer(text):
        address = escape(link[0])
        parts += [escape(text[end : link.start()]), f'<a href="{address}">{address}</a>']
        end = link.end()
    return "".join([*parts, escape(text[end:])])
