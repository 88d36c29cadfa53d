from __future__ import annotations

from medground.model.tokenizer import encode, train_tokenizer

PHRASES = ["lung nodule", "nodule", "肺结节", "结节", "pleural effusion"]


def test_english_and_chinese_come_back_whole():
    tokenizer = train_tokenizer(PHRASES, 400)
    for phrase in PHRASES:
        assert tokenizer.decode(tokenizer.encode(phrase).ids).strip() == phrase


def test_case_and_width_do_not_matter_and_unseen_text_has_tokens():
    tokenizer = train_tokenizer(PHRASES, 400)
    assert tokenizer.encode("Lung NODULE").ids == tokenizer.encode("lung nodule").ids
    assert tokenizer.encode("ｎｏｄｕｌｅ").ids == tokenizer.encode("nodule").ids
    assert len(tokenizer.encode("Größe 🫁").ids) > 0


def test_padding_and_cut():
    tokenizer = train_tokenizer(PHRASES, 400)
    ids = encode(tokenizer, ["nodule", "", "x" * 500], 12)
    assert ids.shape == (3, 12)
    assert ids[1].tolist() == [0] * 12
    assert int((ids[0] != 0).sum()) == len(tokenizer.encode("nodule").ids)


def test_the_same_phrases_give_the_same_tokenizer():
    assert train_tokenizer(PHRASES, 400).to_str() == train_tokenizer(PHRASES, 400).to_str()
