"""Pretraining of a miniature language model: a fifth on text alone, the rest on text behind a soft prefix.

As in the trainer, the input is [prefix] + <s> + text, and the target is text + </s>.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from scaling.asr.pretraining.mini_models import BLANK, END, SPECIAL_TOKENS, START
from scaling.asr.pretraining.optimizer_loop import PretrainingResult, Schedule, optimize
from scaling.asr.pretraining.soft_prefix import soft_prefixes
from scaling.speech.synthetic.recipes import Recipe, split_of

PLAIN_SHARE = 0.2
"""Share of the batches without a soft prefix."""
ANY_TOKENS_SHARE = 0.1
"""Share of the texts that are random tokens, bytes included, so that unseen characters can be copied too."""
ANY_TOKENS_LONGEST = 12
POOL_BATCHES = 16
"""So many batches' texts are sorted by length, so that each batch has texts of nearly equal length."""
HELD_OUT_BATCHES, HELD_OUT_BATCH = 20, 48
"""The held-out texts: 960."""

Texts = list[list[int]]


def pretrain_llm(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe,
    schedule: Schedule,
    *,
    batch: int,
    seed: int,
) -> PretrainingResult:
    """Train `model` in place on training texts of the recipe, drawn without end, `batch` texts a step."""
    rng = np.random.default_rng([seed, 1])
    batches = _batches(_texts(tokenizer, recipe, "train", rng), batch, rng)
    return optimize(model, batches, lambda texts: _loss(model, texts, rng.random() >= PLAIN_SHARE, rng), schedule)


@torch.inference_mode()
def llm_losses(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, *, seed: int
) -> dict[str, float]:
    """Nats a token on held-out texts of the recipe: `text` alone, and `soft_copy` behind a soft prefix."""
    rng = np.random.default_rng([seed, 2])
    batches = _batches(_texts(tokenizer, recipe, "test", rng), HELD_OUT_BATCH, rng)
    held_out = list(islice(batches, HELD_OUT_BATCHES))
    return {
        name: float(np.mean([_loss(model, texts, prefixed, rng).item() for texts in held_out]))
        for name, prefixed in (("text", False), ("soft_copy", True))
    }


def _texts(
    tokenizer: PreTrainedTokenizerFast, recipe: Recipe, split: str, rng: np.random.Generator
) -> Iterator[list[int]]:
    shares = np.array([source.share for source in recipe.sources])
    while True:
        if split == "train" and rng.random() < ANY_TOKENS_SHARE:
            yield rng.integers(len(SPECIAL_TOKENS), len(tokenizer), rng.integers(1, ANY_TOKENS_LONGEST + 1)).tolist()
            continue
        text = recipe.sources[rng.choice(len(shares), p=shares)].grammar.draw(rng)
        if split_of(text) == split:
            yield tokenizer.encode(text, add_special_tokens=False)


def _batches(texts: Iterator[list[int]], batch: int, rng: np.random.Generator) -> Iterator[Texts]:
    while True:
        pool = sorted(islice(texts, POOL_BATCHES * batch), key=len)
        for number in rng.permutation(POOL_BATCHES):
            yield pool[number * batch : (number + 1) * batch]


def _loss(model: Qwen2ForCausalLM, texts: Texts, prefixed: bool, rng: np.random.Generator) -> torch.Tensor:
    """Mean cross-entropy of the texts and their ends; padding is on the right, where causal attention never reads."""
    embedding = model.get_input_embeddings()
    prefixes = soft_prefixes(texts, embedding, BLANK, rng) if prefixed else [embedding.weight[:0]] * len(texts)
    inputs = [
        torch.cat([prefix, embedding(torch.tensor([START, *text]))])
        for prefix, text in zip(prefixes, texts, strict=True)
    ]
    targets = [
        F.pad(torch.tensor([*text, END]), (len(prefix), 0), value=-100)
        for prefix, text in zip(prefixes, texts, strict=True)
    ]
    targets_BL = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
    states_BLD = model.model(
        inputs_embeds=nn.utils.rnn.pad_sequence(inputs, batch_first=True), use_cache=False
    ).last_hidden_state
    real = targets_BL != -100
    return F.cross_entropy(model.lm_head(states_BLD[real]), targets_BL[real])
