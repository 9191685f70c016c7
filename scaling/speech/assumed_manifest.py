"""A manifest of assumed lengths in place of a corpus that is not at hand, so that a study can be planned and priced.

Nothing can be trained on an assumed manifest. Every figure that rests on it is an assumption, and the plan says so.
"""

import math
from pathlib import Path

import numpy as np

from scaling.keys import digest
from scaling.spec import SAMPLE_RATE
from scaling.speech.columns import PLACE, Columns
from scaling.speech.corpus_index import BadRows
from scaling.speech.manifest import Manifest
from scaling.speech.string_column import StringColumn

SAMPLED = 20_000
"""Utterances that stand for a corpus of any size: their mean price is that of the distribution within 0.1 %."""

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 30.0
"""The shortest and longest utterances: as in corpora of read and broadcast speech, and the window of Whisper."""


def assumed_manifest(
    *, hours: float, mean_seconds: float, spread: float, characters_per_second: float, salt: str = ""
) -> Manifest:
    """A corpus of `hours` whose utterances have log-normal lengths, and text in proportion to them.

    `spread` is the standard deviation of log seconds before they are clipped. Texts repeat one Chinese character, which
    counts as a token where a tokenizer is missing. `salt` gives corpora with the same figures different digests.
    """
    from scipy.special import ndtri  # half a second: imported only here

    figures = [hours, mean_seconds, spread, characters_per_second]
    count = max(1, min(SAMPLED, round(3600 * hours / mean_seconds)))
    normal = ndtri((np.arange(count) + 0.5) / count)
    seconds = np.exp(math.log(mean_seconds) - spread**2 / 2 + spread * normal)
    samples = np.rint(SAMPLE_RATE * seconds.clip(SHORTEST_SECONDS, LONGEST_SECONDS)).astype(np.int64)
    characters = np.maximum(np.rint(characters_per_second * samples / SAMPLE_RATE), 1).astype(int)
    unknown, no_bad_rows = StringColumn.of([""] * count), BadRows(rows=count, counts={}, first={}, wrong_durations=0)
    return Manifest(
        path=Path("assumed"),
        columns=Columns(
            ids=StringColumn.of([f"assumed-{number}" for number in range(count)]),
            texts=StringColumn.of(["字" * number for number in characters]),
            speakers=unknown,
            files=unknown,
            file=np.arange(count),
            place=np.zeros(count, dtype=PLACE),
            id_hashes=np.zeros(count, dtype=np.int64),
        ),
        samples=samples,
        hashes=np.zeros((count, 16), dtype=np.uint8),
        bad_rows=no_bad_rows,
        too_long=no_bad_rows,
        durations_trusted=True,
        digest=digest({"assumed": figures, "salt": salt}),
        stands_for_hours=hours,
    )
