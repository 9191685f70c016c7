"""The recogniser: encoder-decoder, projector and LLM with adapters, its losses, and which of its parts train.

Shapes: B utterances, S encoder positions, P speech tokens, T LLM positions, D LLM width, N target tokens in the batch.
"""

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, WhisperForConditionalGeneration

from scaling.asr import whisper as variable_whisper
from scaling.asr.projector import Projector
from scaling.spec import LoraSpec, ModelSpec, Objective, Part
from scaling.text import TextCodec

ATTENTION = "sdpa"
"""The attention kernel of every base model: fused where the machine has it, the same function everywhere."""

KEEP_IN_MEMORY_PARAMETERS = 100_000_000
"""Base models up to this size are kept and copied for each node, larger ones read again: a copy of a mini takes
milliseconds, a second copy of a 7B model may not fit (assumption)."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step reads. `mel_BMT` is zero beyond `frames_B`; targets are token ids, the end token last.

    `heard` holds the encoder's outputs (B, S, E) and their real numbers (B,) where they are known: mels are then empty.
    """

    mel_BMT: Tensor
    frames_B: Tensor
    asr_targets: Sequence[Tensor]
    llm_targets: Sequence[Tensor]
    heard: tuple[Tensor, Tensor] | None = None

    @classmethod
    def padded(
        cls,
        mels: Sequence[Tensor],
        device: torch.device,
        asr_targets: Sequence[Tensor] = (),
        llm_targets: Sequence[Tensor] = (),
    ) -> Self:
        """Features (M, T) of each utterance, padded with zeros to the longest. Decoding needs no targets."""
        return cls(
            mel_BMT=pad_sequence([mel.T for mel in mels], batch_first=True).transpose(1, 2).to(device),
            frames_B=torch.tensor([mel.shape[1] for mel in mels], device=device),
            asr_targets=asr_targets,
            llm_targets=llm_targets,
        )


class Recognizer(nn.Module):
    """Encoder-decoder `whisper`, `projector` and `llm`; the last two are absent where only the encoder trains.

    Every part has parameters of its own (`part_parameters`), so training a stage is choosing parts.
    """

    def __init__(
        self,
        whisper: WhisperForConditionalGeneration,
        projector: Projector | None,
        llm: PreTrainedModel | None,
        asr_codec: TextCodec,
        llm_codec: TextCodec | None,
    ) -> None:
        super().__init__()
        self.whisper = whisper
        self.projector = projector
        self.llm = llm
        self.asr_codec = asr_codec
        self.llm_codec = llm_codec

    def loss(self, batch: Batch, objective: Objective) -> tuple[Tensor, int]:
        """Cross-entropy summed over the batch's target tokens, and their number. Logits at target positions only."""
        if objective is Objective.ASR:
            return self._asr_loss(batch)
        return self._llm_loss(batch)

    def part_parameters(self, part: Part) -> dict[str, nn.Parameter]:
        """The parameters of one part by name, the same name with and without adapters. Empty for adapters not added."""
        if part in (Part.ENCODER_LORA, Part.LLM_LORA):
            return {name: p for name, p in _named(self._host(part)) if _is_adapter(name)}
        own = {name: p for name, p in _named(self._host(part)) if not _is_adapter(name)}
        if part is Part.ENCODER:
            del own["embed_positions.weight"]  # sinusoids, never trained
        if part is Part.ASR_DECODER and not self.whisper.config.tie_word_embeddings:
            own |= {f"proj_out.{name}": p for name, p in _named(self.whisper.proj_out)}
        return own

    def has(self, adapter: Part) -> bool:
        """Whether adapters of this part were added, and not merged since."""
        host = self.llm if adapter is Part.LLM_LORA else self.whisper.model.encoder
        return host is not None and any(isinstance(module, LoraLayer) for module in host.modules())

    def set_trainable(self, parts: Iterable[Part]) -> dict[Part, list[nn.Parameter]]:
        """Let exactly `parts` learn; everything else is frozen and in eval mode. Returns the parameters by part."""
        self.requires_grad_(False)
        self.eval()
        # in the order of Part: sums over parameters (gradient norms) must not depend on the order of a set
        chosen = {part: list(self.part_parameters(part).values()) for part in sorted(parts, key=list(Part).index)}
        for parameters in chosen.values():
            for parameter in parameters:
                parameter.requires_grad_(True)
        for part in chosen:
            self._host(part).train()
        return chosen

    def add_adapters(self, part: Part, lora: LoraSpec, seed: int) -> None:
        """Put LoRA adapters on the targets of `part`'s model; their start depends on `seed` alone."""
        config = LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0, bias="none"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(part_seed(seed, part))
            inject_adapter_in_model(config, self._host(part))

    def merge_adapters(self, part: Part) -> None:
        """Fold the adapters of `part` into the weights they adapt, and leave the plain layers: they cost nothing."""
        host = self._host(part)
        for name, layer in list(host.named_modules()):
            if isinstance(layer, LoraLayer):
                layer.merge()
                parent, _, leaf = name.rpartition(".")
                setattr(host.get_submodule(parent), leaf, layer.get_base_layer())

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The encoder's hidden states (B, S, E), zero at padding, and the real number of each utterance's (B,)."""
        if batch.heard is not None:
            return batch.heard
        return variable_whisper.encode(self.whisper.model.encoder, batch.mel_BMT, batch.frames_B)

    def encoder_digest(self) -> str:
        """A digest of the encoder's present weights, merged adapters among them."""
        found = hashlib.sha256()
        for name, tensor in self._host(Part.ENCODER).state_dict().items():
            found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return found.hexdigest()

    def speech_tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """LLM inputs (B, P, D) for the speech and their real lengths (B,)."""
        assert self.projector is not None
        frames, positions_B = self.encode(batch)
        return self.projector(frames), self.projector.lengths(positions_B)

    def prompts(self, batch: Batch) -> list[Tensor]:
        """What each utterance's text follows: prompt, speech and prefix as LLM inputs, one (T, D) an utterance."""
        assert self.llm is not None
        assert self.llm_codec is not None
        embed = self.llm.get_input_embeddings()
        speech_BPD, lengths_B = self.speech_tokens(batch)
        device = speech_BPD.device
        before = embed(torch.tensor(self.llm_codec.before, dtype=torch.long, device=device)).to(speech_BPD.dtype)
        prefix = embed(torch.tensor(self.llm_codec.prefix, dtype=torch.long, device=device)).to(speech_BPD.dtype)
        return [torch.cat([before, speech_BPD[row, :length], prefix]) for row, length in enumerate(lengths_B.tolist())]

    def _asr_loss(self, batch: Batch) -> tuple[Tensor, int]:
        device = batch.frames_B.device
        prefix = torch.tensor(self.asr_codec.prefix, device=device)
        inputs = pad_sequence([torch.cat([prefix, t[:-1]]) for t in batch.asr_targets], batch_first=True)
        memory, lengths_B = self.encode(batch)
        hidden = variable_whisper.decode_hidden(self.whisper.model.decoder, inputs, memory, lengths_B)
        starts = [len(prefix) - 1] * len(batch.asr_targets)
        return _target_loss(hidden, starts, batch.asr_targets, self.whisper.proj_out)

    def _llm_loss(self, batch: Batch) -> tuple[Tensor, int]:
        assert self.llm is not None
        embed = self.llm.get_input_embeddings()
        prompts = self.prompts(batch)
        texts = [embed(target[:-1]) for target in batch.llm_targets]
        inputs = pad_sequence([torch.cat(pair) for pair in zip(prompts, texts, strict=True)], batch_first=True)
        # Padding lies to the right of every real token, where causal attention never looks: no mask is needed.
        hidden = self.llm.get_decoder()(inputs_embeds=inputs, use_cache=False).last_hidden_state
        starts = [len(prompt) - 1 for prompt in prompts]
        return _target_loss(hidden, starts, batch.llm_targets, self.llm.get_output_embeddings())

    def _host(self, part: Part) -> nn.Module:
        """The module that holds a part."""
        if part in (Part.ENCODER, Part.ENCODER_LORA):
            host = self.whisper.model.encoder
        elif part is Part.ASR_DECODER:
            host = self.whisper.model.decoder
        else:
            host = self.projector if part is Part.PROJECTOR else self.llm
        assert isinstance(host, nn.Module), f"{part} trains in a recogniser built without it"
        return host


def part_seed(seed: int, part: Part) -> int:
    """The seed of one part's fresh weights: the same for every strategy, whenever the part joins."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{part.value}".encode()).digest()[:4], "big")


@dataclass(slots=True)
class BaseModels:
    """Pretrained models by directory; small ones are read once and copied for every node."""

    kept: dict[tuple[str, Path], PreTrainedModel]

    def whisper(self, directory: Path) -> WhisperForConditionalGeneration:
        """A fresh copy of the encoder-decoder in fp32."""
        return self._fresh("whisper", directory, WhisperForConditionalGeneration)

    def llm(self, directory: Path) -> PreTrainedModel:
        """A fresh copy of the causal LM in fp32.

        Without its generation settings: a chat model's penalties and temperature would change greedy decoding.
        """
        model = self._fresh("llm", directory, AutoModelForCausalLM)
        model.generation_config = GenerationConfig()
        return model

    def _fresh(self, kind: str, directory: Path, loader: type) -> PreTrainedModel:
        if (kind, directory) in self.kept:
            return copy.deepcopy(self.kept[kind, directory])
        model: PreTrainedModel = loader.from_pretrained(  # type: ignore[attr-defined]
            directory,
            dtype=torch.float32,
            attn_implementation=ATTENTION,
            local_files_only=True,
            trust_remote_code=False,
        )
        if sum(p.numel() for p in model.parameters()) <= KEEP_IN_MEMORY_PARAMETERS:
            self.kept[kind, directory] = model
            return copy.deepcopy(model)
        return model


def build(
    spec: ModelSpec,
    objective: Objective,
    bases: BaseModels,
    encoder: Path,
    llm: Path,
    codecs: tuple[TextCodec, TextCodec],
    seed: int,
) -> Recognizer:
    """The recogniser before any training: pretrained encoder-decoder and LLM, fresh projector.

    The encoder's own objective needs neither projector nor LLM: they are not loaded for it.
    """
    whisper = bases.whisper(encoder)
    if objective is Objective.ASR:
        return Recognizer(whisper, None, None, codecs[0], None)
    language_model = bases.llm(llm)
    projector = Projector(
        encoder_width=whisper.config.d_model,
        stack=spec.stack,
        hidden=spec.hidden,
        llm_width=language_model.config.hidden_size,
        seed=part_seed(seed, Part.PROJECTOR),
    )
    return Recognizer(whisper, projector, language_model, *codecs)


def _target_loss(
    hidden_BTD: Tensor, starts: list[int], targets: Sequence[Tensor], head: nn.Module
) -> tuple[Tensor, int]:
    """Summed cross-entropy of `targets`, each predicted from the positions that begin at its start."""
    length = hidden_BTD.shape[1]
    positions = torch.cat(
        [
            torch.arange(start, start + len(target), device=hidden_BTD.device) + row * length
            for row, (start, target) in enumerate(zip(starts, targets, strict=True))
        ]
    )
    logits_NV = head(hidden_BTD.flatten(0, 1)[positions])
    wanted_N = torch.cat(list(targets))
    return functional.cross_entropy(logits_NV.float(), wanted_N, reduction="sum"), len(wanted_N)


def _named(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Parameters by name; a layer inside an adapter keeps the name it had without."""
    return [(name.replace(".base_layer.", "."), parameter) for name, parameter in module.named_parameters()]


def _is_adapter(name: str) -> bool:
    return "lora_" in name
