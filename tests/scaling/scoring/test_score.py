"""Scores against hand-counted edits, jiwer's own figures, and scorings' stated rules."""

import jiwer
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scaling.scoring.edits import EditCounts, count_edits
from scaling.scoring.numerals import read_out
from scaling.scoring.score import normalised, score, total
from scaling.scoring.words import spaced, split
from scaling.spec import Scoring

ANY_TEXT = st.text("abcde'ABé -.,!?<>[]()%年0123一二三两萬語한カー﻿　Ａ\t", max_size=16)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("今天，天气 很好。", "今天天气很好"),
        ("ＡＢＣ１２３", "abc123"),
        ("Hello,   World!", "hello world"),
        ("打开 bluetooth 设备", "打开bluetooth设备"),
        ("don't", "dont"),
        ("twenty-one", "twenty one"),
        ("カタカナ ひらがな", "カタカナひらがな"),
        ("  ", ""),
    ],
)
def test_plain_text_is_normalised_as_stated(text, normal):
    assert normalised(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("远东百货(驴马市店)", "远东百货驴马市店"),
        ("美嘉森·奥特莱斯", "美嘉森奥特莱斯"),
        ("[n]一辆黑色小轿车<noise>", "一辆黑色小轿车"),
        ("時代奧特萊斯1號門", "时代奥特莱斯一号门"),
        ("首套房贷款8.5折左右", "首套房贷款八点五折左右"),
        ("万科Ａ保利地产", "万科a保利地产"),
        ("N B D二零一三年", "nbd二零一三年"),
        ("类似M P M P四和M P五", "类似mpmp四和mp五"),
        ("类似MPMP4和MP5", "类似mpmp四和mp五"),
        ("买Apple Watch的J J Y Y", "买apple watch的jjyy"),
        ("I P P", "ipp"),
        ("a cat", "a cat"),
        ("﻿打开", "打开"),
    ],
)
def test_mandarin_is_normalised_as_stated(text, normal):
    assert normalised(text, Scoring.MANDARIN) == normal


@pytest.mark.parametrize("scoring", [Scoring.PLAIN, Scoring.MANDARIN])
@pytest.mark.parametrize(
    ("text", "same"),
    [
        *((f"well{dash}known", "well known") for dash in "-‐‑‒–—―−⁃〜﹘﹣－"),
        *((f"and{slash}or", "and or") for slash in "/\\\u2044\u2215／"),
        *((f"one{comma}two", "one two") for comma in ",،、，"),
        *((f"o{apostrophe}zbek", "o'zbek") for apostrophe in "'’‘ʼʻʽ`´′＇ʾʿꞌ՚׳"),
        *((f"sunny{mark} day", "sunny day") for mark in "\ufe0f\ufe0e\u200d\u200c\u200b\u2060\ufeff\u034f\U000e0101"),
        ("I love it ❤️", "I love it"),
        ("press 1️⃣", "press 1"),
        ("it costs 1,000,000.5", "it costs 1000000.5"),
        ("at 10：30", "at 10:30"),
        ("U.S.A. and e.g. 3.", "usa and eg 3"),
    ],
)
def test_ways_to_write_the_same_words_are_no_errors(scoring, text, same):
    assert score(same, text, scoring).words.errors == score(text, same, scoring).chars.errors == 0


@pytest.mark.parametrize("scoring", [Scoring.PLAIN, Scoring.MANDARIN])
@pytest.mark.parametrize(
    ("text", "other"),
    [("1.5", "15"), ("10:30", "1030"), ("1,5", "15"), ("2+3", "23"), ("5'10", "510"), ("1/2", "12"), ("1.5.2", "1.52")],
)
def test_a_mark_between_digits_does_not_join_them(scoring, text, other):
    assert score(f"it is {text} there", f"it is {other} there", scoring).chars.errors > 0


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        ("0", "零"),
        ("10", "十"),
        ("15", "十五"),
        ("20", "二十"),
        ("105", "一百零五"),
        ("110", "一百一十"),
        ("1005", "一千零五"),
        ("1050", "一千零五十"),
        ("10010", "一万零一十"),
        ("120000", "十二万"),
        ("3,000,001", "三百万零一"),
        ("20300405", "二千零三十万零四百零五"),
        ("007", "零零七"),
        ("123456789", "一二三四五六七八九"),
        ("2024年", "二零二四年"),
        ("24年", "二十四年"),
        ("3.14", "三点一四"),
        ("12.5%", "百分之十二点五"),
    ],
)
def test_numbers_are_read_out_as_stated(digits, said):
    assert read_out(digits) == said


def test_whisper_english_brings_writers_of_english_together():
    ours = normalised("Um, Mr. O'Neill's colour-blind; he paid twenty-one dollars (in cash)", Scoring.WHISPER_ENGLISH)
    theirs = normalised("mister o'neill is color blind he paid $21", Scoring.WHISPER_ENGLISH)
    assert ours == theirs


def test_edits_are_counted_by_kind_and_add_up():
    counts = count_edits("三五七九", "三六七九零")
    assert counts == EditCounts(substitutions=1, deletions=0, insertions=1, length=4)
    assert (counts + count_edits("ab", "")) == EditCounts(substitutions=1, deletions=2, insertions=1, length=6)


@pytest.mark.parametrize(("ref", "hyp", "errors"), [("", "", 0), ("", "ab", 2), ("abc", "", 3), ("，", "x", 1)])
def test_empty_sides_are_counted_not_refused(ref, hyp, errors):
    assert score(ref, hyp).chars.errors == errors


@pytest.mark.parametrize("scoring", Scoring)
@given(ref=ANY_TEXT, hyp=ANY_TEXT)
def test_errors_of_every_kind_agree_with_jiwer_on_normalised_text(scoring, ref, hyp):
    ref_normal, hyp_normal = normalised(ref, scoring), normalised(hyp, scoring)
    if not ref_normal:
        return
    scored = score(ref, hyp, scoring)
    ours = (scored.chars, jiwer.process_characters(ref_normal, hyp_normal))
    words = (scored.words, jiwer.process_words(" ".join(split(ref_normal)), " ".join(split(hyp_normal))))
    for counts, theirs in (ours,) if scoring is Scoring.WENET else (ours, words):
        assert (counts.substitutions, counts.deletions, counts.insertions) == (
            theirs.substitutions,
            theirs.deletions,
            theirs.insertions,
        )


@pytest.mark.parametrize("scoring", Scoring)
@given(st.text())
@example("a\ud83d b")  # half of a surrogate pair, as JSON may hold it
def test_any_text_can_be_scored(scoring, text):
    assert score(text, text, scoring).chars.errors == 0
    assert score("一", text, scoring).words.length == 1


@given(ANY_TEXT)
def test_words_and_their_text_say_the_same(text):
    words = split(text)
    assert split(spaced(words)) == words


def test_a_chinese_word_error_rate_is_the_character_error_rate():
    scored = score("今天天气很好", "今天天汽很好吗")
    assert scored.words == scored.chars


def test_mixed_script_counts_characters_and_latin_words():
    scored = score("打开Let It Go", "打开let it be吧")
    assert (scored.words.substitutions, scored.words.insertions, scored.words.length) == (1, 1, 5)


def test_the_rate_weighs_utterances_by_their_length_and_may_exceed_one():
    whole = total([score("一二三四", "一二三"), score("五", "六七八")])
    assert whole.chars.rate == pytest.approx((1 + 3) / 5)
    assert whole.summary()["cer"] == whole.summary()["wer"] == whole.chars.rate
    assert score("一", "二二二").chars.rate == 3


def test_references_without_a_character_have_no_rate():
    with pytest.raises(ValueError, match="no character"):
        score("", "x").summary()
