"""Agreement to the last error with jiwer and with WeNet's scoring, on random text and on real Mandarin with planted
errors. What WeNet counts is written down here a second time, from what its tool is said to do, by the plainest means.
"""

import json
import os
import random
import unicodedata
from pathlib import Path

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.scoring.score import normalised, score, total
from scaling.scoring.wenet import wenet
from scaling.scoring.words import split
from scaling.spec import Scoring

SHARED = Path(os.environ.get("ASR_SCALING_SHARED") or Path(__file__).parents[4] / "shared") / "corpora"
AISHELL = SHARED / "aishell_sample_S0252"
needs_aishell = pytest.mark.skipif(not AISHELL.is_dir(), reason="the shared corpora are not here (ASR_SCALING_SHARED)")

SETS = ("train", "dev", "test", "mixed_script")
STRANGE = list("零一二三龍龙abCDéＡ１1８.5%，。()[n]<unk> \tー·カ﻿😀")
TEXT = st.text(st.sampled_from([*STRANGE, *"!?、：「D J版"]), max_size=14)


def words_as_wenet_reads_them(text: str) -> list[str]:
    """One pass over the characters: a word ends where the next must begin, capitals and tags last."""
    words, current, closing = [], None, None
    for char in text:
        ascii_inside = current is not None and ord(char) < 128 and char not in " \t\r\n"
        if ascii_inside and char != closing:
            current += char
            continue
        if ascii_inside:
            words.append(current + char)
            current = None
            continue
        if current is not None:
            words.append(current)
            current = None
        category = unicodedata.category(char)
        if char in "!,?、。！，；？：「」︰『』《》" or char in " \t\r\n" or category in ("Zs", "Cn"):
            continue
        if category == "Lo":
            words.append(char)
        else:
            current, closing = char, ">" if char == "<" else " "
    if current is not None:
        words.append(current)
    stripped = (without_tags(word.upper()) for word in words)
    return [word for word in stripped if word]


def without_tags(word: str) -> str:
    kept, inside = "", False
    for char in word:
        if inside:
            inside = char != ">"
        elif char == "<":
            inside = True
        else:
            kept += char
    return kept


def fewest_edits(reference: list[str], hypothesis: list[str]) -> int:
    """Levenshtein's distance, by its definition."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        above, row[0] = row[0], i
        for j, written in enumerate(hypothesis, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (wanted != written))
    return row[-1]


def with_errors(text: str, share: float, luck: random.Random) -> str:
    """`text` with a share of its characters replaced, dropped or followed by another."""
    out = ""
    for char in text:
        other = luck.choice(STRANGE) if luck.random() < 0.5 else luck.choice(text)
        kind = luck.choice(("replace", "drop", "add")) if luck.random() < share else "keep"
        out += {"replace": other, "drop": "", "add": char + other, "keep": char}[kind]
    return out


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """Real references, and hypotheses with none to many errors."""
    luck = random.Random(0)
    texts = [
        json.loads(line)["text"]
        for name in SETS
        for line in (AISHELL / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    return [(text, with_errors(text, share, luck)) for text in texts for share in (0.0, 0.1, 0.3, 0.8)]


@given(TEXT)
def test_words_are_those_that_wenet_reads(text):
    assert wenet(text) == words_as_wenet_reads_them(text)


@given(TEXT, TEXT)
def test_wenet_errors_agree_on_random_text(ref, hyp):
    expected = fewest_edits(words_as_wenet_reads_them(ref), words_as_wenet_reads_them(hyp))
    assert score(ref, hyp, Scoring.WENET).words.errors == expected


@needs_aishell
def test_wenet_errors_agree_on_real_mandarin_and_mixed_script(pairs):
    expected = [fewest_edits(words_as_wenet_reads_them(ref), words_as_wenet_reads_them(hyp)) for ref, hyp in pairs]
    assert [score(ref, hyp, Scoring.WENET).words.errors for ref, hyp in pairs] == expected
    assert sum(expected) > 5000


@needs_aishell
@pytest.mark.parametrize("scoring", Scoring)
def test_totals_agree_with_jiwer_on_real_mandarin_and_mixed_script(pairs, scoring):
    scored = total(score(ref, hyp, scoring) for ref, hyp in pairs)
    refs, hyps = ([normalised(text, scoring) for text in side] for side in zip(*pairs, strict=True))
    kept = [position for position, ref in enumerate(refs) if ref]
    refs, hyps = [refs[position] for position in kept], [hyps[position] for position in kept]
    chars = jiwer.process_characters(refs, hyps)
    assert (scored.chars.substitutions, scored.chars.deletions) == (chars.substitutions, chars.deletions)
    assert scored.chars.insertions == chars.insertions
    assert scored.chars.rate == pytest.approx(chars.cer, rel=1e-12)
    if scoring is not Scoring.WENET:
        words = jiwer.process_words([" ".join(split(ref)) for ref in refs], [" ".join(split(hyp)) for hyp in hyps])
        assert (scored.words.errors, scored.words.rate) == (
            words.substitutions + words.deletions + words.insertions,
            pytest.approx(words.wer, rel=1e-12),
        )


@needs_aishell
def test_formatting_alone_is_no_error_in_mandarin():
    """References of the mixed set against what a recogniser that writes numbers and capitals would put."""
    written = {
        "打开闯码头D J版": "打開闖碼頭DJ版。",
        "时代奥特莱斯1号门": "时代奥特莱斯一号门",
        "预计在三月份将会出现首套房贷款8.5折左右的折扣": "预计在三月份，将会出现首套房贷款八点五折左右的折扣。",
        "N B D二零一三年十月": "NBD2013年10月",
        "是一个类似M P M P四和M P五这样的噱头": "是一个类似MPMP4和MP5这样的噱头",
        "[n]一辆黑色小轿车在华威桥上发生自燃": "一辆黑色小轿车在华威桥上发生自燃",
    }
    texts = {json.loads(line)["text"] for line in (AISHELL / "mixed_script.jsonl").read_text("utf-8").splitlines()}
    assert written.keys() <= texts
    assert [score(*pair, Scoring.MANDARIN).chars.errors for pair in written.items()] == [0] * len(written)
    assert total(score(*pair) for pair in written.items()).chars.errors > 0
