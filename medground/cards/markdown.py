"""`MODEL_CARD.md`: the chapters of a card as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medground.cards.blocks import Block, Bullets, Cell, Picture, Section, Table, Words
from medground.cards.contents import CardFacts
from medground.cards.sections import sections_of

PICTURES = "pictures"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|])")
_LINK = re.compile(r"https?://\S+")


def markdown_of(facts: CardFacts) -> bytes:
    """The card as Markdown; equal facts give equal bytes."""
    return ("\n".join(line for section in sections_of(facts) for line in _section(section)).rstrip() + "\n").encode()


def markdown_problems(content: bytes) -> list[str]:
    """What is wrong with a `MODEL_CARD.md`; its words are compared with the facts elsewhere.

    Args:
        content: of the file.
    """
    try:
        return [] if content.decode().startswith("# ") else ["it does not begin with the name of a model"]
    except UnicodeDecodeError:
        return ["it is no UTF-8"]


def _section(section: Section) -> Iterator[str]:
    yield f"{'#' * section.level} {plain(section.title)}"
    yield ""
    for block in section.blocks:
        lines = list(_block(block))
        yield from lines
        if lines:
            yield ""


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Words):
        yield f"**{plain(block.text)}**" if block.loud else plain(block.text)
    elif isinstance(block, Bullets):
        yield from (f"- {plain(item)}" for item in block.items)
    elif isinstance(block, Picture):
        yield f"![{plain(block.words)}]({PICTURES}/{block.file})"
        yield ""
        yield f"*{plain(block.words)}*"
    elif isinstance(block, Table):
        yield _row(block.heads)
        yield f"|{'---|' * block.words}{'--:|' * (len(block.heads) - block.words)}"
        yield from (_row(row) for row in block.rows)


def _row(cells: tuple[Cell, ...]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return plain(cell)
    leads = [f"[{plain(title)}](#{anchor(title)})" for title, _ in cell.to]
    return "; ".join(leads) + plain(cell.words)


def anchor(title: str) -> str:
    """What a heading is called in links, as GitHub names it: small letters, digits and hyphens.

    Args:
        title: of the heading.
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def plain(text: str) -> str:
    """Words in which nothing is taken for markup; links stay links."""
    parts, end = [], 0
    for link in _LINK.finditer(text):
        parts += [_SPECIAL.sub(r"\\\1", text[end : link.start()]), f"<{link[0]}>"]
        end = link.end()
    return "".join([*parts, _SPECIAL.sub(r"\\\1", text[end:])]).replace("\n", " ")
