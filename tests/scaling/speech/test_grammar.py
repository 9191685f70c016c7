"""The grammars of the synthetic corpora."""

import numpy as np
import pytest

from scaling.speech.synthetic.grammar import EN, EN_DIGITS, ZH, ZH_DIGITS, Grammar, Rule

MISREAD = frozenset("雄凶胸兄穷窘熊匈穹琼邛迥汹囧兒跫")


@pytest.mark.parametrize("grammar", [ZH, EN, ZH_DIGITS, EN_DIGITS])
def test_every_slot_names_a_rule_and_every_sentence_stays_in_the_alphabet(grammar: Grammar) -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        sentence = grammar.draw(rng)
        assert set(sentence) <= grammar.alphabet()
        assert "{" not in sentence
        assert sentence == sentence.strip()


def test_digit_strings_have_three_to_seven_digits_of_every_kind() -> None:
    rng = np.random.default_rng(2)
    drawn = [ZH_DIGITS.draw(rng) for _ in range(2000)]
    assert {len(text) for text in drawn} == {3, 4, 5, 6, 7}
    counts = np.array([sum(text.count(digit) for text in drawn) for digit in "零一二三四五六七八九"])
    assert counts.sum() == sum(map(len, drawn))
    assert counts.min() > 0.9 * counts.mean()


def test_alternatives_follow_zipf() -> None:
    grammar = Grammar(rules=(Rule(name="sentence", alternatives=("a", "b", "c", "d")),))
    rng = np.random.default_rng(3)
    drawn = [grammar.draw(rng) for _ in range(6000)]
    shares = np.array([drawn.count(letter) for letter in "abcd"]) / len(drawn)
    expected = np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12)
    assert np.abs(shares - expected).max() < 0.02  # three standard errors


def test_an_alternative_is_the_one_that_numpy_chooses() -> None:
    for rule in ZH.rules:
        ours, numpys = np.random.default_rng(7), np.random.default_rng(7)
        for _ in range(50):
            assert rule.draw(ours) == rule.alternatives[numpys.choice(len(rule.alternatives), p=rule.weights())]


def test_no_character_is_one_that_the_synthesiser_spells_in_english() -> None:
    assert not ZH.alphabet() & MISREAD


def test_a_sentence_is_a_function_of_its_seed() -> None:
    assert [EN.draw(np.random.default_rng(n)) for n in range(20)] == [
        EN.draw(np.random.default_rng(n)) for n in range(20)
    ]
