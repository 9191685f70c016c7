"""Lengths of utterances: what each will cost."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.tokenizers import load_tokenizer, tokenizer_file
from scaling.errors import InputError
from scaling.spec import digest
from scaling.speech.manifest import Manifest
from scaling.system.cache import cache_dir, file_digest, write_whole

ENCODE_CHUNK = 8192
"""Texts handed to the tokenizer at once: bounds memory; larger is no faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What the cost of utterances depends on, one number an utterance.

    `samples`: real samples at 16 kHz; `asr_tokens`, `llm_tokens`: target tokens of the encoder-decoder and of the LLM,
    each with its end token. `assumed` is true where a tokenizer was missing and tokens were estimated from characters.
    """

    samples: IntArray
    asr_tokens: IntArray
    llm_tokens: IntArray
    assumed: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, chosen: IntArray | slice) -> "Lengths":
        """The lengths of the chosen utterances."""
        return Lengths(
            samples=self.samples[chosen],
            asr_tokens=self.asr_tokens[chosen],
            llm_tokens=self.llm_tokens[chosen],
            assumed=self.assumed,
        )


def index(manifest: Manifest, *, encoder: Path | None, llm: Path | None) -> Lengths:
    """Lengths of every utterance of `manifest`, cached by the content of manifest and tokenizers.

    `encoder` and `llm` are model directories; None (a row without weights) estimates tokens as
    one a character of Chinese, Japanese or Korean and one for four other characters (assumption).
    Raises InputError where a directory has no tokenizer.
    """
    return Lengths(
        samples=manifest.samples,
        asr_tokens=_kept_tokens(manifest, encoder),
        llm_tokens=_kept_tokens(manifest, llm),
        assumed=encoder is None or llm is None,
    )


def count(samples: IntArray, texts: Sequence[str], *, encoder: Path | None, llm: Path | None) -> Lengths:
    """As `index`, of utterances that are no whole manifest: counted each time."""
    return Lengths(
        samples=samples,
        asr_tokens=_target_tokens(texts, encoder),
        llm_tokens=_target_tokens(texts, llm),
        assumed=encoder is None or llm is None,
    )


def _kept_tokens(manifest: Manifest, model: Path | None) -> IntArray:
    """Tokens of every text, counted once whatever the number of speeds that the speech is heard at."""
    rows = len(manifest) // manifest.copies
    texts = manifest.texts if manifest.copies == 1 else manifest.texts.take(np.arange(rows))
    if model is None:
        tokens = _target_tokens(texts, None)
    else:
        key = digest({"manifest": manifest.digest, "tokenizer": file_digest(tokenizer_file(model))})
        tokens = _cached(cache_dir() / "tokens" / f"{key}.npz", rows, lambda: _target_tokens(texts, model))
    return np.tile(tokens, manifest.copies)


def _target_tokens(texts: Sequence[str], model: Path | None) -> IntArray:
    if model is None:
        return np.array([_estimated_tokens(text) + 1 for text in texts], dtype=np.int64)
    path = tokenizer_file(model)
    tokenizer = load_tokenizer(path)
    remaining, counts = iter(texts), list[int]()  # the fast way leaves out where each token stood
    while chunk := list(islice(remaining, ENCODE_CHUNK)):
        try:
            written = tokenizer.encode_batch_fast(chunk, add_special_tokens=False)
        except Exception as error:  # the library raises nothing more specific
            raise InputError(f"{path}: cannot write the texts of the manifest ({error})") from error
        counts += [len(encoded) + 1 for encoded in written]
    return np.array(counts, dtype=np.int64)


def _estimated_tokens(text: str) -> int:
    ideographs = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)
    return ideographs - (ideographs - len(text)) // 4


def _cached(entry: Path, rows: int, compute: Callable[[], IntArray]) -> IntArray:
    if entry.exists():
        # Whatever ails what lies in a cache, it is made again; it is zipped for the sake of the check sum.
        with suppress(Exception), entry.open("rb") as file, np.load(file) as held:
            kept = np.asarray(held["values"], dtype=np.int64)
            if kept.shape == (rows,):
                return kept
    values = compute()
    write_whole(entry, lambda out: np.savez(out, values=values))
    return values
