"""Lengths of utterances in samples and in tokens: what the FLOPs of training depend on."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.letters import NOTHING, Letters, TokenSource
from scaling.base_models.tokenizers import load_tokenizer, tokenizer_file
from scaling.errors import InputError
from scaling.keys import digest
from scaling.speech.manifest import Manifest
from scaling.system.cache import cache_dir, file_digest, write_whole

ENCODE_CHUNK = 8192
"""Texts given to the tokenizer at once, which bounds memory; more are no faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """The lengths of utterances, (N,) each.

    `samples` are real samples at 16 kHz; `asr_tokens` and `llm_tokens` are the target tokens of the encoder-decoder and
    of the LLM, with their end tokens. `assumed` is true where tokens were estimated because a tokenizer was missing.
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


def manifest_lengths(manifest: Manifest, *, encoder: TokenSource, llm: Path | None) -> Lengths:
    """The lengths of every utterance of `manifest`, cached by the content of manifest and tokenizers.

    `encoder` and `llm` are model directories; the encoder's may be an alphabet instead, with which it writes. For None
    (a model without files) tokens are estimated: one for each character of Chinese, Japanese or Korean and one for four
    other characters (assumption). Raises InputError where a directory has no tokenizer.
    """
    return Lengths(
        samples=manifest.samples,
        asr_tokens=_cached_tokens(manifest, encoder),
        llm_tokens=_cached_tokens(manifest, llm),
        assumed=encoder is None or llm is None,
    )


def text_lengths(samples: IntArray, texts: Sequence[str], *, encoder: TokenSource, llm: Path | None) -> Lengths:
    """As `manifest_lengths`, for any utterances, without the cache."""
    return Lengths(
        samples=samples,
        asr_tokens=_target_tokens(texts, encoder),
        llm_tokens=_target_tokens(texts, llm),
        assumed=encoder is None or llm is None,
    )


def _cached_tokens(manifest: Manifest, model: TokenSource) -> IntArray:
    """Tokens of every text, counted once whatever the number of speeds that the speech is heard at."""
    rows = len(manifest) // manifest.copies
    texts = manifest.texts if manifest.copies == 1 else manifest.texts.take(np.arange(rows))
    if model is None or model == NOTHING:
        tokens = _target_tokens(texts, model)
    else:
        written_by = model.digest if isinstance(model, Letters) else file_digest(tokenizer_file(model))
        key = digest({"manifest": manifest.digest, "tokenizer": written_by})
        tokens = _cached(cache_dir() / "tokens" / f"{key}.npz", rows, lambda: _target_tokens(texts, model))
    return np.tile(tokens, manifest.copies)


def _target_tokens(texts: Sequence[str], model: TokenSource) -> IntArray:
    if model is None:
        return np.array([_estimated_tokens(text) + 1 for text in texts], dtype=np.int64)
    if model == NOTHING:
        return np.zeros(len(texts), dtype=np.int64)
    path = "a fresh CTC head" if isinstance(model, Letters) else tokenizer_file(model)
    tokenizer = model.tokenizer() if isinstance(model, Letters) else load_tokenizer(tokenizer_file(model))
    remaining, counts = iter(texts), list[int]()
    while chunk := list(islice(remaining, ENCODE_CHUNK)):
        try:  # the fast method leaves out the positions of tokens
            encodings = tokenizer.encode_batch_fast(chunk, add_special_tokens=False)
        except Exception as error:  # the library raises nothing more specific
            raise InputError(f"{path}: cannot encode the texts of the manifest ({error})") from error
        counts += [len(encoding) + 1 for encoding in encodings]
    return np.array(counts, dtype=np.int64)


def _estimated_tokens(text: str) -> int:
    ideographs = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)
    return ideographs - (ideographs - len(text)) // 4


def _cached(entry: Path, rows: int, compute: Callable[[], IntArray]) -> IntArray:
    if entry.exists():
        # Whatever is wrong with a cache entry, it is made again. It is a zip file because a zip file has a checksum.
        with suppress(Exception), entry.open("rb") as file, np.load(file) as arrays:
            cached = np.asarray(arrays["values"], dtype=np.int64)
            if cached.shape == (rows,):
                return cached
    values = compute()
    write_whole(entry, lambda out: np.savez(out, values=values))
    return values
