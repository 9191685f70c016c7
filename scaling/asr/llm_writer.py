"""What the LLM of a recogniser writes behind prompts, a token at a time.

Shapes: B utterances that still write, T positions, D LLM width, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from scaling.asr.greedy import as_cache, roomy_cache
from scaling.asr.model import Recognizer


class LlmWriter:
    """A `Writer` behind prompts (T, D), which are padded on the left."""

    def __init__(self, model: Recognizer, prompts: Sequence[Tensor]) -> None:
        assert model.llm is not None
        self._decoder: Any = model.llm.get_decoder()
        self._logits = model.llm_logits
        self._cache = roomy_cache()
        self._prompts_BTD = pad_sequence(list(prompts), batch_first=True, padding_side="left")
        longest, device = self._prompts_BTD.shape[1], self._prompts_BTD.device
        lengths_B = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self._real_BT = (torch.arange(longest, device=device) >= longest - lengths_B[:, None]).long()

    def start(self) -> Tensor:
        positions_BT = (self._real_BT.cumsum(-1) - 1).clamp_min(0)
        return self._forward(positions_BT, inputs_embeds=self._prompts_BTD)

    def step(self, ids_B: Tensor) -> Tensor:
        positions_B1 = self._real_BT.sum(-1, keepdim=True)
        self._real_BT = torch.cat([self._real_BT, torch.ones_like(positions_B1)], dim=1)
        return self._forward(positions_B1, input_ids=ids_B[:, None])

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._real_BT = self._real_BT[rows]

    def _forward(self, positions_BT: Tensor, **inputs: Tensor) -> Tensor:
        found = self._decoder(
            **inputs,
            attention_mask=self._real_BT,
            position_ids=positions_BT,
            use_cache=True,
            **as_cache(self._decoder, self._cache),
        )
        return self._logits(found.last_hidden_state[:, -1])
