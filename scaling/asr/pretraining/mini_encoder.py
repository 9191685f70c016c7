"""Pretraining and decoding of a miniature Whisper encoder-decoder.

The loss is half cross-entropy of the decoder, half CTC on the encoder. The CTC head is dropped afterwards: it serves to
shorten the plateau before attention aligns (measured: CER 0.25 instead of 0.63 after 400 steps).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerFast, WhisperForConditionalGeneration

from scaling.asr.model.encoders.text_decoder import decoder_hidden_states, greedy_decode
from scaling.asr.model.encoders.whisper import encode
from scaling.asr.model.log_mel import LogMel
from scaling.asr.pretraining.mini_models import BLANK, END, START
from scaling.asr.pretraining.optimizer_loop import PretrainingResult, Schedule, optimize
from scaling.scoring.score import score, total
from scaling.speech.audio import Clip, read_clip
from scaling.speech.batches import BatchStream, Position

CTC_SHARE = 0.5
BATCH_AUDIO_SECONDS = 20.0
"""Audio of a batch: about 32 utterances."""
DECODED_TOKENS = 64
"""The longest hypothesis: longer than any sentence of the grammars."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InMemoryCorpus:
    """Utterances in memory: half-precision log-mels (M bins, frames), token ids without specials, texts, samples."""

    mels: list[torch.Tensor]
    tokens: list[list[int]]
    texts: list[str]
    samples: np.ndarray


def read_corpus(
    rows: Sequence[tuple[Path, str]], features: LogMel, tokenizer: PreTrainedTokenizerFast
) -> InMemoryCorpus:
    """Read every audio file, with its text."""
    mels, samples = [], []
    for path, _ in rows:
        audio = read_clip(Clip(path=path))
        mels.append(features(audio).half())
        samples.append(len(audio))
    texts = [text for _, text in rows]
    tokens = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    return InMemoryCorpus(mels=mels, tokens=tokens, texts=texts, samples=np.array(samples))


def pretrain_encoder(
    model: WhisperForConditionalGeneration, corpus: InMemoryCorpus, schedule: Schedule, *, seed: int
) -> PretrainingResult:
    """Train `model` in place on `corpus`."""
    ctc_head = nn.Linear(model.config.d_model, model.config.vocab_size)
    model.model.encoder.embed_positions.requires_grad_(False)
    trained = nn.ModuleList([model, ctc_head])
    batches = (indices for indices, _ in BatchStream(corpus.samples, seed, BATCH_AUDIO_SECONDS).batches(Position(0, 0)))
    return optimize(trained, batches, lambda indices: _loss(model, ctc_head, corpus, indices), schedule)


@torch.no_grad()
def encoder_cer(
    model: WhisperForConditionalGeneration, corpus: InMemoryCorpus, tokenizer: PreTrainedTokenizerFast
) -> float:
    """CER (a fraction) of the model's own decoder, greedily."""
    scores = []
    for indices in _by_length(corpus.samples, batch=64):
        encoded = encode(model.model.encoder, *_padded_mels(corpus, indices))
        ids = greedy_decode(model, *encoded, (START,), END, max_tokens=DECODED_TOKENS)
        texts = tokenizer.batch_decode(ids)
        scores += [score(corpus.texts[index], text) for index, text in zip(indices, texts, strict=True)]
    return total(scores).chars.rate


def _loss(
    model: WhisperForConditionalGeneration, ctc_head: nn.Linear, corpus: InMemoryCorpus, indices: np.ndarray
) -> torch.Tensor:
    texts = [torch.tensor(corpus.tokens[index]) for index in indices]
    hidden_BSD, lengths_B = encode(model.model.encoder, *_padded_mels(corpus, indices))
    ctc = F.ctc_loss(
        ctc_head(hidden_BSD).log_softmax(-1).transpose(0, 1),
        torch.cat(texts),
        lengths_B,
        torch.tensor([len(text) for text in texts]),
        blank=BLANK,
        zero_infinity=True,  # fast speech can have fewer frames than characters
    )
    inputs_BU = _padded([F.pad(text, (1, 0), value=START) for text in texts], END)
    targets_BU = _padded([F.pad(text, (0, 1), value=END) for text in texts], -100)
    real = targets_BU != -100
    logits = model.proj_out(decoder_hidden_states(model.model.decoder, inputs_BU, hidden_BSD, lengths_B)[real])
    return CTC_SHARE * ctc + (1 - CTC_SHARE) * F.cross_entropy(logits, targets_BU[real])


def _padded_mels(corpus: InMemoryCorpus, indices: Sequence[int] | np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    mels_TM = [corpus.mels[index].float().T for index in indices]
    frames_B = torch.tensor([len(mel) for mel in mels_TM])
    return nn.utils.rnn.pad_sequence(mels_TM, batch_first=True).transpose(1, 2), frames_B


def _padded(rows: list[torch.Tensor], value: int) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def _by_length(samples: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    order = np.argsort(samples, kind="stable")
    return (order[start : start + batch] for start in range(0, len(order), batch))
