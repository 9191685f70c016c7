"""The LLM of a recogniser as a greedy decoder: it continues prompts, a token at a time.

Shapes: B utterances in the batch, T positions, D LLM width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache, DynamicCache

from scaling.asr.model.key_value_cache import cache_argument, preallocated_cache
from scaling.asr.model.recognizer import Recognizer

PREFILL_POSITIONS = 1024
"""Positions of prompts, padding included, that one forward pass reads: enough for products to be at their peak, few
enough for a mini's hidden states to stay in a core's cache (measured)."""


class LlmDecoder:
    """A `StepDecoder` behind prompts (T, D), which are padded on the left."""

    def __init__(self, model: Recognizer, prompts: Sequence[Tensor]) -> None:
        assert model.llm is not None
        self._decoder: Any = model.llm.get_decoder()
        self._logits = model.llm_logits
        self._window = getattr(model.llm.config, "sliding_window", None)
        self._prompts = prompts
        self._cache = Cache(layers=[])
        self._real_BT = _left_padded([torch.ones(len(prompt), dtype=torch.long) for prompt in prompts])
        self._real_BT = self._real_BT.to(prompts[0].device)

    def start(self) -> Tensor:
        last, caches = [], []
        for rows in _prefill_rows([len(prompt) for prompt in self._prompts]):
            prompts_BTD = _left_padded(self._prompts[rows])
            real_BT = self._real_BT[rows, -prompts_BTD.shape[1] :]
            caches.append(DynamicCache())
            last.append(
                self._forward(caches[-1], real_BT, (real_BT.cumsum(-1) - 1).clamp_min(0), inputs_embeds=prompts_BTD)
            )
        self._cache = preallocated_cache(caches)
        return self._logits(torch.cat(last))

    def step(self, ids_B: Tensor) -> Tensor:
        self._real_BT = functional.pad(self._real_BT, (0, 1), value=1)
        positions_B1 = self._real_BT.sum(-1, keepdim=True) - 1
        return self._logits(self._forward(self._cache, self._mask(), positions_B1, input_ids=ids_B[:, None]))

    def select(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._real_BT = self._real_BT[rows]

    def _forward(self, cache: Cache, mask: Tensor, positions_BT: Tensor, **inputs: Tensor) -> Tensor:
        """The last hidden state (B, D)."""
        output = self._decoder(
            **inputs,
            attention_mask=mask,
            position_ids=positions_BT,
            use_cache=True,
            **cache_argument(self._decoder, cache),
        )
        hidden_BD: Tensor = output.last_hidden_state[:, -1]
        return hidden_BD

    def _mask(self) -> Tensor:
        """The attention mask of one more token: additive (B, 1, 1, T), which transformers uses as it is.

        Where a sliding window may hide earlier positions, the mask says which positions are real (B, T), and
        transformers makes one mask for each kind of layer from it.
        """
        if self._window is not None and self._real_BT.shape[1] > self._window:
            return self._real_BT
        mask_BT = (1.0 - self._real_BT) * torch.finfo(torch.float32).min
        return mask_BT[:, None, None]


def _left_padded(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_side="left")


def _prefill_rows(lengths: Sequence[int]) -> Iterator[slice]:
    """Consecutive prompts that one forward pass reads."""
    start, longest = 0, 0
    for row, length in enumerate(lengths):
        longest = max(longest, length)
        if row > start and longest * (row + 1 - start) > PREFILL_POSITIONS:
            yield slice(start, row)
            start, longest = row, length
    yield slice(start, len(lengths))
