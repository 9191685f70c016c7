"""Assumed lengths that stand for a corpus."""

import numpy as np
import pytest

from scaling.speech.assumed_manifest import LONGEST_SECONDS, SAMPLED, SHORTEST_SECONDS, assumed_manifest
from scaling.speech.lengths import manifest_lengths

FIGURES = {"hours": 10_000.0, "mean_seconds": 4.0, "spread": 0.4, "characters_per_second": 4.0}


def test_a_sample_has_the_distribution_and_stands_for_all_hours() -> None:
    manifest = assumed_manifest(**FIGURES)
    seconds = manifest.samples / 16_000
    assert (len(manifest), manifest.hours) == (SAMPLED, 10_000.0)
    assert seconds.mean() == pytest.approx(4.0, rel=2e-3)
    assert np.log(seconds).std() == pytest.approx(0.4, rel=5e-3)
    assert seconds.min() >= SHORTEST_SECONDS
    assert seconds.max() <= LONGEST_SECONDS


def test_text_goes_with_the_length_a_token_a_character() -> None:
    lengths = manifest_lengths(assumed_manifest(**FIGURES), encoder=None, llm=None)
    assert (lengths.llm_tokens - 1) == pytest.approx(4 * lengths.samples / 16_000, abs=0.51)
    assert lengths.assumed


def test_a_small_corpus_is_not_sampled() -> None:
    assert len(assumed_manifest(**{**FIGURES, "hours": 1.0})) == 900


def test_other_figures_or_another_name_are_other_data() -> None:
    digests = {
        assumed_manifest(**FIGURES).digest,
        assumed_manifest(**{**FIGURES, "hours": 9_000.0}).digest,
        assumed_manifest(**FIGURES, salt="dev").digest,
    }
    assert len(digests) == 3
    assert assumed_manifest(**FIGURES).digest in digests
