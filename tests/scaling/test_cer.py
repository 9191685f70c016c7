"""Error rates against hand-counted edits and jiwer's own."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.cer import cer, count_edits, normalize


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
def test_text_is_normalised_as_stated(text, normal):
    assert normalize(text) == normal


def test_edits_are_counted_by_kind():
    counts = count_edits("三五七九", "三六七九零")
    assert (counts.substitutions, counts.deletions, counts.insertions, counts.ref_chars) == (1, 0, 1, 4)


@pytest.mark.parametrize(("ref", "hyp", "errors"), [("", "", 0), ("", "ab", 2), ("abc", "", 3), ("，", "x", 1)])
def test_empty_sides_are_counted_not_refused(ref, hyp, errors):
    assert count_edits(ref, hyp).errors == errors


@given(st.text("abcde 一二三", min_size=1, max_size=12), st.text("abcde 一二三", max_size=12))
def test_errors_agree_with_jiwer_on_normalised_text(ref, hyp):
    ref_normal, hyp_normal = normalize(ref), normalize(hyp)
    if not ref_normal:
        return
    assert count_edits(ref, hyp).errors == pytest.approx(jiwer.cer(ref_normal, hyp_normal) * len(ref_normal))


def test_the_rate_weighs_utterances_by_their_length_and_may_exceed_one():
    assert cer([count_edits("一二三四", "一二三"), count_edits("五", "六七八")]) == pytest.approx((1 + 3) / 5)
    assert cer([count_edits("一", "二二二")]) == 3


def test_references_without_a_character_have_no_rate():
    with pytest.raises(ValueError, match="no character"):
        cer([count_edits("", "x")])
