"""An independent view of a training step: Hugging Face modules at the padded shapes, watched by torch's counter.

Nothing here knows a FLOP formula but one: torch counts the weight gradient of a grouped convolution as if it were not
grouped, so a convolution's backward is counted here. `modules` builds the models on any device (the meta device holds
real sizes in no memory), `step` runs forward and backward with eager attention, `Counted` is what the counter saw of
each.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from encoder_reference import (
    asr_module,
    decoder_of,
    encoded,
    encoder_of,
    frames_of,
    freeze_what_never_trains,
    fresh_head,
    hidden,
)
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)
from transformers.modeling_layers import GradientCheckpointingLayer

from scaling.asr.model.encoders.wavlm import adaptable
from scaling.base_models.encoders import EncoderDims
from scaling.base_models.llms import LlmDims
from scaling.cost.model_shape import ModelShape, default_lora
from scaling.spec import LoraSpec, Objective, Part
from scaling.speech.lengths import Lengths
from scaling.strategies.presets import PRESETS

ATTENTION_ONLY = LoraSpec(rank=4, alpha=8.0, targets=("q_proj", "v_proj"))

MINI_LLM = LlmDims(
    name="mini", source="test", width=32, layers=3, heads=4, kv_heads=2, head_dim=8, ffn=56, vocabulary=41, tied=True,
    qkv_bias=True,
)  # fmt: skip
MINI_UNTIED = replace(MINI_LLM, tied=False, qkv_bias=False, kv_heads=1, head_dim=12)
"""A Llama with one key head and heads that do not fill the width."""


@dataclass(frozen=True)
class Trains:
    objective: Objective
    parts: frozenset[Part]


PRESET_STAGES = sorted(
    {Trains(stage.objective, frozenset(stage.parts)) for preset in PRESETS.values() for stage in preset.stages},
    key=lambda training: (training.objective, sorted(training.parts)),
)


def model_shape(encoder: EncoderDims, llm: LlmDims, **changes: object) -> ModelShape:
    values = {
        "stack": 4, "hidden": llm.width, "encoder_lora": default_lora(encoder), "llm_lora": default_lora(llm),
        "llm_prompt_tokens": 5, "asr_prompt_extra": 2,
    }  # fmt: skip
    return ModelShape(encoder=encoder, llm=llm, **(values | changes))


@dataclass(frozen=True)
class Counted:
    forward: int
    backward: int


def write_llm_config(model_type: str, folder: Path, **changes: object) -> Path:
    """The config.json of a small LLM of any family, its embeddings not tied."""
    values = {
        "vocab_size": 41, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "tie_word_embeddings": False, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    experts = {"qwen3_moe": {"num_experts": 6, "moe_intermediate_size": 24}, "granitemoe": {"num_local_experts": 5}}
    values |= {**experts[model_type], "num_experts_per_tok": 2} if model_type in experts else {}
    AutoConfig.for_model(model_type, **values | changes).save_pretrained(folder)
    return folder / "config.json"


def llm_config(dims: LlmDims) -> PreTrainedConfig:
    """The config the dimensions were read from, where they were, else one of the family that fits them."""
    if Path(dims.source).is_file():
        of_experts = {"experts_implementation": "eager"} if dims.experts else {}  # torch counts no grouped products
        return AutoConfig.from_pretrained(Path(dims.source).parent, attn_implementation="eager", **of_experts)
    common = {
        "vocab_size": dims.vocabulary,
        "hidden_size": dims.width,
        "intermediate_size": dims.ffn,
        "num_hidden_layers": dims.layers,
        "num_attention_heads": dims.heads,
        "num_key_value_heads": dims.kv_heads,
        "tie_word_embeddings": dims.tied,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "attn_implementation": "eager",
    }
    if dims.qk_norm:
        return Qwen3Config(**common, head_dim=dims.head_dim, attention_bias=dims.qkv_bias)
    if dims.qkv_bias and not dims.output_bias:
        return Qwen2Config(**common)
    return LlamaConfig(
        **common, head_dim=dims.head_dim, attention_bias=dims.qkv_bias, mlp_bias=dims.mlp_bias, rope_parameters=None
    )


def llm_module(dims: LlmDims, device: str) -> nn.Module:
    with torch.device(device):
        return AutoModelForCausalLM.from_config(llm_config(dims))


@dataclass
class Modules:
    asr: PreTrainedModel
    projector: nn.Sequential
    llm: nn.Module
    fresh_head: nn.Module | None

    @property
    def encoder(self) -> nn.Module:
        return encoder_of(self.asr)

    @property
    def decoder(self) -> nn.Module:
        return decoder_of(self.asr) if self.fresh_head is None else self.fresh_head

    def train(self, model_shape: ModelShape, parts: Collection[Part]) -> None:
        """Freeze everything, add the adapters that train, let `parts` learn."""
        encoder = self.encoder
        for module in (self.asr, self.projector, self.llm, self.fresh_head):
            if module is not None:
                module.requires_grad_(False)
        hosts = {Part.ENCODER: encoder, Part.PROJECTOR: self.projector, Part.LLM: self.llm}
        for part in parts:
            if part in hosts:
                hosts[part].requires_grad_(True)
        if Part.ASR_DECODER in parts:
            self.decoder.requires_grad_(True)
        freeze_what_never_trains(self.asr)
        if Part.ENCODER_LORA in parts and self.asr.config.model_type == "wavlm":
            adaptable(self.asr)  # transformers passes adapters by
        for part, host, lora in (
            (Part.ENCODER_LORA, encoder, model_shape.encoder_lora),
            (Part.LLM_LORA, self.llm, model_shape.llm_lora),
        ):
            if part in parts:
                trained = {name for name, parameter in host.named_parameters() if parameter.requires_grad}
                config = LoraConfig(
                    r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0, bias="none"
                )
                inject_adapter_in_model(config, host)
                for name, parameter in host.named_parameters():
                    parameter.requires_grad_("lora_" in name or name.replace(".base_layer", "") in trained)

    def recompute(self) -> None:
        """Turn on the gradient checkpointing that layers of transformers bring."""
        for module in (*self.asr.modules(), *self.llm.modules()):
            if isinstance(module, GradientCheckpointingLayer):
                module.train()
                module.gradient_checkpointing = True
                module._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)


def modules(model_shape: ModelShape, device: str) -> Modules:
    encoder, llm = model_shape.encoder, model_shape.llm
    with torch.device(device):
        projector = nn.Sequential(
            nn.Linear(model_shape.stack * encoder.width, model_shape.hidden),
            nn.GELU(),
            nn.Linear(model_shape.hidden, llm.width),
        )
        head = fresh_head(encoder)
    return Modules(asr_module(encoder, device), projector, llm_module(llm, device), head)


def step(
    model_shape: ModelShape,
    objective: Objective,
    parts: Collection[Part],
    lengths: Lengths,
    device: str = "meta",
    *,
    recompute: bool = False,
) -> Counted:
    """Forward and backward of one padded batch of all of `lengths`, as the counter sees them.

    With `recompute`, under gradient checkpointing.
    """
    built = modules(model_shape, device)
    built.train(model_shape, parts)
    if recompute:
        built.recompute()
    forward, backward = counter(), counter()
    with forward:
        speech = encoded_silence(model_shape, built, lengths, device)
        run = _asr_loss if objective is Objective.ASR else _llm_loss
        loss = run(model_shape, built, speech, lengths, device)
    with backward:
        loss.backward()
    return Counted(forward.get_total_flops(), backward.get_total_flops())


def encoded_silence(model_shape: ModelShape, built: Modules, lengths: Lengths, device: str) -> Tensor:
    """The encoder's output of one padded batch of all of `lengths`."""
    frames = int(model_shape.encoder.input_frames(lengths.samples).max())
    features = torch.zeros(len(lengths), model_shape.encoder.input_features, frames, device=device)
    return encoded(model_shape.encoder, built.asr, features)


def counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward})


def _convolution_backward(
    grad: list[int], x: list[int], weight: list[int], bias, stride, padding, dilation, transposed, out, groups, wanted,
    out_shape=None,
) -> int:  # fmt: skip
    """Each output is a product with one filter, whatever the groups; input and weight gradients repeat the products."""
    return 2 * math.prod(grad) * math.prod(weight[1:]) * (wanted[0] + wanted[1])


def _asr_loss(model_shape: ModelShape, built: Modules, speech: Tensor, lengths: Lengths, device: str) -> Tensor:
    decoder = built.decoder
    if built.asr.config.model_type != "whisper":
        return decoder(speech).sum()
    longest = int(lengths.asr_tokens.max()) + model_shape.asr_prompt_extra
    ids = torch.zeros(len(lengths), longest, dtype=torch.long, device=device)
    x = decoder.embed_tokens(ids) + decoder.embed_positions.weight[:longest]
    for layer in decoder.layers:
        x = hidden(layer(x, _causal(longest, device), speech))
    logits = built.asr.proj_out(_at_targets(decoder.layer_norm(x), lengths.asr_tokens))
    return logits.sum()


def _llm_loss(model_shape: ModelShape, built: Modules, speech: Tensor, lengths: Lengths, device: str) -> Tensor:
    batch, frames, width = speech.shape
    stacked = functional.pad(speech, (0, 0, 0, -frames % model_shape.stack)).reshape(
        batch, -1, width * model_shape.stack
    )
    tokens = built.projector(stacked)
    longest = max(
        -(-frames_of(model_shape.encoder, built.asr, int(samples)) // model_shape.stack)
        + model_shape.llm_prompt_tokens
        + int(text)
        for samples, text in zip(lengths.samples, lengths.llm_tokens, strict=True)
    )
    ids = torch.zeros(batch, longest - min(tokens.shape[1], longest), dtype=torch.long, device=device)
    inputs = torch.cat([tokens, built.llm.get_input_embeddings()(ids)], dim=1)[:, :longest]
    # A ready 4-d mask keeps transformers from looking at values, which the meta device does not have.
    states = built.llm.get_decoder()(
        inputs_embeds=inputs, attention_mask=_causal(longest, device), use_cache=False
    ).last_hidden_state
    return built.llm.get_output_embeddings()(_at_targets(states, lengths.llm_tokens)).sum()


def _at_targets(hidden: Tensor, targets: object) -> Tensor:
    rows = torch.cat(
        [torch.arange(int(count), device=hidden.device) + row * hidden.shape[1] for row, count in enumerate(targets)]  # type: ignore[arg-type]
    )
    return hidden.flatten(0, 1)[rows]


def _causal(length: int, device: str) -> Tensor:
    return torch.full((length, length), -1e9, device=device).triu(1)[None, None]
