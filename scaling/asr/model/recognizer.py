"""The recogniser: encoder-decoder, projector and LLM with adapters; its losses, and which of its parts train.

Shapes: B utterances, S encoder positions, P speech tokens, T LLM positions, D LLM width, N target tokens in the batch.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from scaling.asr.model.encoders.ctc import FreshHead
from scaling.asr.model.encoders.family import EncoderOutput
from scaling.asr.model.encoders.registry import FAMILIES
from scaling.asr.model.lora import add_lora, has_lora, merge_lora
from scaling.asr.model.projector import Projector
from scaling.asr.model.target_loss import target_logits
from scaling.base_models.tokenizers import TextCodec
from scaling.spec import LoraSpec, Objective, Part

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors that one forward pass reads. `features_BMT` (log-mel, or samples with M = 1) is zero beyond `frames_B`.

    Targets are token ids, the end token last where the tokenizer has one. `encoded` holds the encoder's output where it
    is known already: the features are then empty.
    """

    features_BMT: Tensor
    frames_B: Tensor
    asr_targets: Sequence[Tensor]
    llm_targets: Sequence[Tensor]
    encoded: EncoderOutput | None = None

    @classmethod
    def padded(
        cls,
        features: Sequence[Tensor],
        device: torch.device,
        asr_targets: Sequence[Tensor] = (),
        llm_targets: Sequence[Tensor] = (),
    ) -> Self:
        """The features (M, T) of each utterance, padded with zeros to the longest. Decoding needs no targets."""
        return cls(
            features_BMT=pad_sequence([mel_MT.T for mel_MT in features], batch_first=True).transpose(1, 2).to(device),
            frames_B=torch.tensor([mel_MT.shape[1] for mel_MT in features], device=device),
            asr_targets=asr_targets,
            llm_targets=llm_targets,
        )


class Recognizer(nn.Module):
    """The speech model `asr` (an encoder with the decoder or head of its own objective), `projector` and `llm`.

    Projector and LLM are absent where the objective is the encoder's own. An encoder without one may have a fresh
    `ctc_head` there, and `objective` is None where it has not. Every part has parameters of its own
    (`part_parameters`): to train a stage is to choose parts. `gradient_checkpointing` and `compiled` say how layers run
    while they learn (`scaling.asr.execution.layer_modes`).
    """

    def __init__(
        self,
        asr: PreTrainedModel,
        projector: Projector | None,
        llm: PreTrainedModel | None,
        asr_codec: TextCodec | None,
        llm_codec: TextCodec | None,
        ctc_head: FreshHead | None = None,
    ) -> None:
        super().__init__()
        self.asr = asr
        self.family = FAMILIES[asr.config.model_type]
        self.ctc_head = ctc_head
        self.objective = self.family.objective if ctc_head is None else ctc_head.objective
        self.projector = projector
        self.llm = llm
        self.gradient_checkpointing = False
        self.compiled = False
        self.asr_codec = asr_codec
        self.llm_codec = llm_codec

    def loss(self, batch: Batch, objective: Objective) -> tuple[Tensor, int]:
        """The loss summed over the batch's target tokens, and their number."""
        if objective is Objective.ASR:
            assert self.objective is not None
            assert self.asr_codec is not None
            return self.objective.loss(self.asr, self.asr_codec, self.encode(batch), batch.asr_targets)
        return self._llm_loss(batch)

    def with_gathered_weights(self, function: Callable[[], Value]) -> Value:
        """The result of `function()`, called while this rank has all of the LLM's weights, sharded or not."""
        return function()

    def part_parameters(self, part: Part) -> dict[str, nn.Parameter]:
        """Parameters of one part by name, without adapters on it; empty for adapters or objectives not there."""
        if part in (Part.ENCODER_LORA, Part.LLM_LORA):
            return {name: p for name, p in _named(self._host(part)) if _is_adapter(name)}
        if part is Part.ASR_DECODER:
            return _distinct(self.objective.modules(self.asr)) if self.objective else {}
        own = {name: p for name, p in _named(self._host(part)) if not _is_adapter(name)}
        if part is Part.ENCODER:
            return {name: p for name, p in own.items() if not name.startswith(self.family.never_trained)}
        return own

    def has(self, adapter: Part) -> bool:
        """Whether adapters of this part were added and are not merged yet."""
        host = self.llm if adapter is Part.LLM_LORA else self.family.encoder(self.asr)
        return host is not None and has_lora(host)

    def set_trainable(self, parts: Iterable[Part]) -> dict[Part, list[nn.Parameter]]:
        """Let exactly `parts` learn; all other parts are frozen and in eval mode. Returns the parameters by part."""
        self.requires_grad_(False)
        self.eval()
        # In the order of `Part`: sums over parameters (gradient norms) must not depend on the order of a set.
        chosen = {part: list(self.part_parameters(part).values()) for part in sorted(parts, key=list(Part).index)}
        for parameters in chosen.values():
            for parameter in parameters:
                parameter.requires_grad_(True)
        for part in chosen:
            self._host(part).train()
        return chosen

    def add_adapters(self, part: Part, lora: LoraSpec, seed: int) -> None:
        """Put LoRA adapters on the target layers of `part`'s model; their initial weights depend on `seed` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(part_seed(seed, part))
            add_lora(self._host(part), lora)

    def merge_adapters(self, part: Part) -> None:
        """Merge the adapters of `part` into the weights that they adapt; plain layers remain."""
        merge_lora(self._host(part))

    def encode(self, batch: Batch) -> EncoderOutput:
        """The encoder's hidden states (B, S, E), zero at padded positions, and each utterance's number of them (B,)."""
        if batch.encoded is not None:
            return batch.encoded
        return self.family.encode(self.asr, batch.features_BMT, batch.frames_B)

    def encoder_digest(self) -> str:
        """A digest of the encoder's present weights, merged adapters included."""
        digest = hashlib.sha256()
        for name, tensor in self._host(Part.ENCODER).state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def speech_tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """LLM inputs (B, P, D) for the speech, and each utterance's number of them (B,)."""
        assert self.projector is not None
        frames, positions_B = self.encode(batch)
        return self.projector(frames), self.projector.lengths(positions_B)

    def prompts(self, batch: Batch) -> list[Tensor]:
        """The LLM inputs that each utterance's text follows: prompt, speech and prefix, one (T, D) an utterance."""
        assert self.llm is not None
        assert self.llm_codec is not None
        embed = self.llm.get_input_embeddings()
        speech_BPD, lengths_B = self.speech_tokens(batch)
        device = speech_BPD.device
        before = embed(torch.tensor(self.llm_codec.before, dtype=torch.long, device=device)).to(speech_BPD.dtype)
        prefix = embed(torch.tensor(self.llm_codec.prefix, dtype=torch.long, device=device)).to(speech_BPD.dtype)
        return [torch.cat([before, speech_BPD[row, :length], prefix]) for row, length in enumerate(lengths_B.tolist())]

    def llm_logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits of the LLM's last hidden states, as its own forward computes them: some LLMs scale or cap logits."""
        assert self.llm is not None
        logits_NV: Tensor = self.llm.get_output_embeddings()(hidden_ND)
        config = self.llm.config
        if (divisor := getattr(config, "logits_scaling", None)) is not None:  # Granite
            logits_NV = logits_NV / divisor
        if (cap := getattr(config, "final_logit_softcapping", None)) is not None:  # Gemma
            logits_NV = cap * torch.tanh(logits_NV / cap)
        return logits_NV

    def llm_losses(self, batch: Batch) -> Tensor:
        """The LLM's loss (B,) on the text of each utterance, summed over its target tokens."""
        losses_N = functional.cross_entropy(*self._target_logits(batch), reduction="none")
        return torch.stack(
            [losses.sum() for losses in torch.split(losses_N, [len(target) for target in batch.llm_targets])]
        )

    def _llm_loss(self, batch: Batch) -> tuple[Tensor, int]:
        logits_NV, targets_N = self._target_logits(batch)
        return functional.cross_entropy(logits_NV, targets_N, reduction="sum"), len(targets_N)

    def _target_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The LLM's logits (N, V) at all target tokens, and these tokens (N,)."""
        assert self.llm is not None
        embed = self.llm.get_input_embeddings()
        prompts = self.prompts(batch)
        texts = [embed(target[:-1]) for target in batch.llm_targets]
        inputs = pad_sequence([torch.cat(pair) for pair in zip(prompts, texts, strict=True)], batch_first=True)
        # Padding lies to the right of every real token, where causal attention never reads: no mask is needed.
        hidden = self.llm.get_decoder()(inputs_embeds=inputs, use_cache=False).last_hidden_state
        starts = [len(prompt) - 1 for prompt in prompts]
        return target_logits(hidden, starts, batch.llm_targets, self.llm_logits)

    def _host(self, part: Part) -> nn.Module:
        """The module that the parameters of a part belong to."""
        host: nn.Module | None
        if part in (Part.ENCODER, Part.ENCODER_LORA):
            host = self.family.encoder(self.asr)
        elif part is Part.ASR_DECODER:
            host = self.objective.modules(self.asr)[""] if self.objective else None
        else:
            host = self.projector if part is Part.PROJECTOR else self.llm
        assert isinstance(host, nn.Module), f"{part} trains in a recogniser built without it"
        return host


def part_seed(seed: int, part: Part) -> int:
    """The seed of one part's initial weights: the same for every strategy, in whichever stage the part begins."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{part.value}".encode()).digest()[:4], "big")


def _named(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Parameters by name; a layer that has an adapter keeps the name that it has without."""
    return [(name.replace(".base_layer.", "."), parameter) for name, parameter in module.named_parameters()]


def _distinct(modules: dict[str, nn.Module]) -> dict[str, nn.Parameter]:
    """Parameters of modules by prefix and name; tied parameters once."""
    by_identity: dict[int, tuple[str, nn.Parameter]] = {}
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            by_identity.setdefault(id(parameter), (prefix + name, parameter))
    return dict(by_identity.values())


def _is_adapter(name: str) -> bool:
    return "lora_" in name
