from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from medground.model.backbones.qwen_config import QwenConfig
from medground.model.backbones.qwen_describer import SoftTokenDescriber, separator_of, spelled
from medground.schema.errors import UsageError


class Letters(nn.Module):
    """A language of single letters: a GRU that is a real causal language model, small enough to enumerate."""

    alphabet = ". ;abcd"
    end = 0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(len(self.alphabet), 8)
        self.cell = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, len(self.alphabet))
        nn.init.normal_(self.out.weight, std=1.5)

    def ids(self, text):
        return [self.alphabet.index(letter) for letter in text]

    def text(self, ids):
        return "".join(self.alphabet[i] for i in ids)

    def embed(self, ids_NT):
        return self.table(ids_NT)

    def logits(self, embeds_NTD):
        return self.out(self.cell(embeds_NTD)[0])


@pytest.fixture
def language() -> Letters:
    return Letters()


@pytest.fixture
def describer() -> SoftTokenDescriber:
    torch.manual_seed(1)
    return SoftTokenDescriber(4, 2, 8, 1.0, QwenConfig(prompt="a ", max_tokens=12))


def regions(count: int) -> torch.Tensor:
    return torch.randn(count, 4, 2, 2, generator=torch.Generator().manual_seed(2)) * 3


def log_probability(language, describer, region, ids):
    """Of a row of tokens, one step at a time."""
    row = torch.cat([describer.norm(describer.soft(region.flatten()))[None], language.table(torch.tensor([3, 1]))])
    total = 0.0
    for token in ids:
        log = language.logits(row[None])[0, -1].log_softmax(-1)
        total += float(log[token].detach())
        row = torch.cat([row, language.table(torch.tensor([token]))])
    return total


def test_the_loss_is_the_mean_over_tokens_of_all_regions(language, describer):
    said = [["ab", "c"], ["d"], []]
    rows = [[1, 3, 4, 2, 1, 5, 0], [1, 6, 0], [0]]
    expected = -sum(log_probability(language, describer, r, ids) for r, ids in zip(regions(3), rows, strict=True))
    total, count = describer.loss(language, regions(3), said)
    loss = total / count
    assert float(loss.detach()) == pytest.approx(expected / sum(map(len, rows)), abs=1e-5)


def test_no_region_has_no_loss_and_no_words(language, describer):
    empty = regions(0).requires_grad_()
    loss, count = describer.loss(language, empty, [])
    assert count == 0
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert describer.decode(language, empty, None) == []


def test_statements_that_do_not_fit_are_not_taught(language, describer):
    long = "abcdabc"
    assert describer._targets(language, [long, "a"]) == [*spelled(language, long), 2, 1, 3, 0]
    assert describer._targets(language, [long, long]) == [*spelled(language, long), 0]


def test_greedy_takes_the_best_token_at_each_step(language, describer):
    for region in regions(6):
        ids: list[int] = []
        while len(ids) < 12 and (not ids or ids[-1] != 0):
            banned = [] if ids and ids[-1] != 2 else [2, 0] if 2 in ids else [2]
            options = [t for t in range(7) if t not in banned]
            ids.append(max(options, key=lambda t: log_probability(language, describer, region, [*ids, t])))
        whole = [part.strip() for part in language.text(ids).split(";")]
        expected = [part.rstrip(".") for part in (whole if ids[-1] == 0 else whole[:-1])]
        said = describer.decode(language, region[None], None)[0]
        assert [s.text for s in said] == [part for part in expected if part]


def test_the_search_keeps_to_the_list_and_never_repeats(language, describer):
    allowed = ["a", "ab", "abcd", "d"]
    for said in describer.decode(language, regions(20), allowed):
        texts = [s.text for s in said]
        assert set(texts) <= set(allowed)
        assert len(set(texts)) == len(texts)
        assert all(0 < s.probability <= 1 for s in said)


def test_regions_are_described_alike_alone_and_together(language, describer):
    together = describer.decode(language, regions(5), ["ab", "c"])
    alone = [describer.decode(language, region[None], ["ab", "c"])[0] for region in regions(5)]
    assert [[s.text for s in said] for said in together] == [[s.text for s in said] for said in alone]


def test_training_makes_it_say_what_it_was_taught(language, describer):
    said = [["ab", "c"], ["d"], [], ["c"]]
    optimizer = torch.optim.Adam([*describer.parameters(), *language.parameters()], 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        describer.loss(language, regions(4), said)[0].backward()
        optimizer.step()
    for allowed in (None, ["ab", "c", "d"]):
        decoded = describer.decode(language, regions(4), allowed)
        assert [[s.text for s in row] for row in decoded] == said
        assert min(s.probability for row in decoded for s in row) > 0.8


def test_words_that_end_statements_are_refused(language, describer):
    for bad in ("a;b", " ", "a.b"):
        with pytest.raises(UsageError, match="must be words"):
            describer.loss(language, regions(1), [[bad]])
    language.ids = lambda _text: [1, 2]
    with pytest.raises(UsageError, match="as 2 tokens"):
        separator_of(language)


def test_likeness_is_the_probability_of_a_statement_and_its_end_after_the_likeliest_before(language, describer):
    groups = (["ab", "abc", "d"], ["c", "dd"])
    tables = describer.liken(language, regions(4), groups)
    for row, region in enumerate(regions(4)):
        prefix: list[int] = []
        for group, table in zip(groups, tables, strict=True):
            logs = []
            for statement in group:
                ids = [*prefix, *spelled(language, statement)]
                ends = [log_probability(language, describer, region, [*ids, stop]) for stop in (0, 2)]
                logs.append(math.log(sum(map(math.exp, ends))))
            expected = torch.tensor(logs).softmax(0).tolist()
            assert table[row].tolist() == pytest.approx(expected, abs=1e-5)
            prefix += [*spelled(language, group[int(table[row].argmax())]), 2]
    assert [table.shape for table in describer.liken(language, regions(0), groups)] == [(0, 3), (0, 2)]
