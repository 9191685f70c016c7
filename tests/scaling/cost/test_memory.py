"""The estimate of memory against Hugging Face's modules on the meta device, where a 7B model takes no room."""

from collections.abc import Collection
from dataclasses import replace

import flop_reference
import numpy as np
import pytest
import torch
from encoder_reference import MINI_ENCODER, MINI_WAV2VEC2
from flop_reference import MINI_LLM, Modules, model_shape, modules
from torch import Tensor

from scaling.asr.execution.precision import round_frozen_weights
from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.memory import BYTES, CAST_BYTES, LOGIT_COPIES, StepExecution, state_memory, step_memory
from scaling.cost.model_shape import ModelShape
from scaling.spec import Objective, Part, Precision
from scaling.speech.lengths import Lengths

ASR = (Objective.ASR, frozenset({Part.ENCODER, Part.ASR_DECODER}))
PROJECTOR = (Objective.LLM, frozenset({Part.PROJECTOR}))
LORA = (Objective.LLM, frozenset({Part.PROJECTOR, Part.LLM_LORA}))
JOINT = (Objective.LLM, frozenset({Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA}))


def lengths() -> Lengths:
    """40 seconds."""
    tokens = np.full(8, 20)
    return Lengths(samples=np.full(8, 80_000), asr_tokens=tokens, llm_tokens=tokens)


def large(llm: str) -> ModelShape:
    """A large pair, its decoders four layers deep: what a layer takes, each takes."""
    encoder, dims = find_encoder("whisper-large-v3").dims, find_llm(llm).dims
    return model_shape(replace(encoder, decoder_layers=4), replace(dims, layers=4))


def built(shape: ModelShape, parts: Collection[Part], device: str = "meta") -> Modules:
    """The modules with the trainer's attention, their trained parts, and gradients nowhere else."""
    found = modules(shape, device)
    found.asr.set_attn_implementation("sdpa")
    found.llm.set_attn_implementation("sdpa")
    found.train(shape, parts)
    return found


def kept(shape: ModelShape, objective: Objective, found: Modules, device: str = "meta") -> dict[int, Tensor]:
    """What autograd keeps of a forward pass, one tensor a storage, without weights."""
    weights = {
        parameter.untyped_storage()._cdata
        for module in (found.asr, found.projector, found.llm)
        for parameter in module.parameters()
    }
    storages: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            storages.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        batch = lengths()
        with torch.set_grad_enabled(any(weight.requires_grad for weight in found.encoder.parameters())):
            speech = flop_reference.encoded_silence(shape, found, batch, device)
        run = flop_reference._asr_loss if objective is Objective.ASR else flop_reference._llm_loss
        run(shape, found, speech, batch, device)
    return storages


@pytest.mark.parametrize("training", [ASR, PROJECTOR, LORA, JOINT], ids=["asr", "projector", "lora", "joint"])
@pytest.mark.parametrize(
    "pair",
    ["whisper-small + Qwen2.5-0.5B", pytest.param("whisper-large-v3 + Qwen2.5-7B", marks=pytest.mark.slow)],
)
def test_activations_are_what_autograd_keeps(pair: str, training: tuple[Objective, frozenset[Part]]) -> None:
    encoder, llm = (find(name).dims for find, name in zip((find_encoder, find_llm), pair.split(" + "), strict=True))
    shape = model_shape(encoder, llm, llm_prompt_tokens=0, asr_prompt_extra=3)
    estimate = step_memory(shape, _Training(*training), Precision.FP32, lengths(), 40.0).activations
    assert estimate is not None
    assert estimate - _logits(shape, training[0]) == pytest.approx(kept_bytes(shape, *training), rel=0.005)


@pytest.mark.parametrize("training", [ASR, PROJECTOR, LORA, JOINT], ids=["asr", "projector", "lora", "joint"])
@pytest.mark.parametrize(
    "pair",
    ["whisper-small + Qwen2.5-0.5B", pytest.param("whisper-large-v3 + Qwen2.5-7B", marks=pytest.mark.slow)],
)
def test_under_checkpointing_inputs_of_layers_are_kept_and_one_layer_or_the_logits_at_a_time(
    pair: str, training: tuple[Objective, frozenset[Part]]
) -> None:
    encoder, llm = (find(name).dims for find, name in zip((find_encoder, find_llm), pair.split(" + "), strict=True))
    shape = model_shape(encoder, llm, llm_prompt_tokens=0, asr_prompt_extra=3)
    inputs = kept_bytes(shape, *training, recompute=True)
    shallow = replace(shape, encoder=replace(encoder, layers=1, decoder_layers=1), llm=replace(llm, layers=1))
    plain, again = (kept_bytes(shallow, *training, recompute=recompute) for recompute in (False, True))
    layers = [
        (kept_bytes(deeper, *training) - plain) - (kept_bytes(deeper, *training, recompute=True) - again)
        for deeper in (
            replace(shallow, encoder=replace(shallow.encoder, layers=2)),
            replace(shallow, encoder=replace(shallow.encoder, decoder_layers=2)),
            replace(shallow, llm=replace(shallow.llm, layers=2)),
        )
    ]
    thrift = StepExecution(recompute=True)
    estimate = step_memory(shape, _Training(*training), Precision.FP32, lengths(), 40.0, thrift).activations
    assert estimate == pytest.approx(inputs + max(_logits(shape, training[0]), *layers), rel=0.015)


def kept_bytes(shape: ModelShape, objective: Objective, parts: frozenset[Part], *, recompute: bool = False) -> int:
    """What autograd keeps with fused attention.

    Without a device's kernel, attention is computed by its formula: it keeps the scores, where a fused one keeps its
    output instead. Logits are not kept before the loss takes their softmax.
    """
    found = built(shape, parts)
    if recompute:
        found.recompute()
    storages = kept(shape, objective, found).values()
    total = sum(tensor.untyped_storage().nbytes() for tensor in storages)
    if recompute:
        return total
    scores = sum(tensor.nbytes for tensor in storages if tensor.dim() == 4 and tensor.shape[2] in (tensor.shape[3], 23))
    return total - scores + _fused_outputs(shape, parts)


def test_weights_gradients_and_moments_are_those_of_the_modules_of_a_7b_run() -> None:
    shape = model_shape(find_encoder("whisper-large-v3").dims, find_llm("Qwen2.5-7B").dims)
    for objective, parts in (ASR, PROJECTOR, LORA, JOINT):
        found = built(shape, parts)
        loaded = (found.asr,) if objective is Objective.ASR else (found.asr, found.projector, found.llm)
        weights = [parameter for module in loaded for parameter in {*module.parameters()}]
        total = sum(weight.nbytes for weight in weights)
        trained = sum(weight.nbytes for weight in weights if weight.requires_grad)
        memory = state_memory(shape, _Training(objective, parts), Precision.FP32)
        assert (memory.weights, memory.casts) == (total, 0)
        positions = BYTES * shape.encoder.max_positions * shape.encoder.width * (Part.ENCODER in parts)
        assert memory.gradients == trained + positions  # the encoder's positions never train
        assert memory.moments == 2 * memory.gradients


def test_in_bf16_trained_weights_that_a_gradient_passes_are_kept_once_more() -> None:
    shape = model_shape(MINI_ENCODER, MINI_LLM, stack=2, llm_prompt_tokens=0)
    found = built(shape, JOINT[1], "cpu")
    loaded = (found.asr, found.projector, found.llm)
    for module in loaded:
        round_frozen_weights(module)
    with torch.autocast("cpu", torch.bfloat16):
        storages = kept(shape, Objective.LLM, found, "cpu")
    weights = [weight for module in loaded for weight in module.parameters()]
    sizes = {frozenset(weight.shape) for weight in weights if weight.requires_grad and weight.dim() == 2}
    casts = sum(
        tensor.nbytes
        for tensor in storages.values()
        if tensor.dtype is torch.bfloat16 and tensor.dim() == 2 and frozenset(tensor.shape) in sizes
    )
    estimate = state_memory(shape, _Training(*JOINT), Precision.BF16)
    assert estimate.casts == pytest.approx(casts, rel=0.1)
    assert estimate.casts > CAST_BYTES * 0.8 * (MINI_LLM.params - MINI_LLM.vocabulary * MINI_LLM.width)


@pytest.mark.parametrize("llm", ["Qwen2.5-7B", "Qwen2.5-0.5B"])  # the small one's head is tied to its embeddings
@pytest.mark.parametrize("training", [ASR, PROJECTOR, LORA, JOINT], ids=["asr", "projector", "lora", "joint"])
def test_in_bf16_what_is_frozen_is_stored_rounded(llm: str, training: tuple[Objective, frozenset[Part]]) -> None:
    shape = large(llm)
    found = built(shape, training[1])
    loaded = (found.asr,) if training[0] is Objective.ASR else (found.asr, found.projector, found.llm)
    for module in loaded:
        round_frozen_weights(module)
    stored = sum(weight.nbytes for module in loaded for weight in {*module.parameters()})
    estimate = state_memory(shape, _Training(*training), Precision.BF16)
    assert estimate.weights == pytest.approx(stored, rel=1e-3)  # biases


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("llm", ["Qwen2.5-7B", "Qwen2.5-0.5B"])
@pytest.mark.parametrize(
    "parts", [LORA[1], JOINT[1], {Part.PROJECTOR, Part.LLM}], ids=lambda parts: "+".join(sorted(parts))
)
def test_each_of_several_devices_holds_its_share_of_the_llm_what_it_gathers_and_all_else(
    parts: frozenset[Part], llm: str, precision: Precision
) -> None:
    shape = large(llm)
    found = built(shape, parts)
    if precision is Precision.BF16:
        for module in (found.asr, found.projector, found.llm):
            round_frozen_weights(module)
    others = {*found.asr.parameters(), *found.projector.parameters()}
    layers = [{*layer.parameters()} for layer in found.llm.get_decoder().layers]
    ends = {*found.llm.parameters()} - set[torch.Tensor]().union(*layers)
    memory = state_memory(shape, _Training(Objective.LLM, frozenset(parts)), precision, sharers=8)
    for estimate, wanted in ((memory.weights, _all), (memory.gradients, _trained)):
        gathered = wanted(ends) + 2 * wanted(layers[0])
        held = wanted(others) + (wanted(ends) + len(layers) * wanted(layers[0])) / 8
        assert estimate == pytest.approx(held + gathered, rel=4e-3)  # biases, and positions that never train
    whole = state_memory(shape, _Training(Objective.LLM, frozenset(parts)), precision)
    assert memory.moments < memory.gradients * 2 < whole.moments * (1 if Part.LLM in parts else 1.1)
    assert memory.casts == whole.casts


def test_an_objective_without_the_llm_has_nothing_to_share() -> None:
    shape = model_shape(find_encoder("whisper-small").dims, find_llm("Qwen2.5-0.5B").dims)
    one, eight = (state_memory(shape, _Training(*ASR), Precision.BF16, sharers=sharers) for sharers in (1, 8))
    assert one == eight


def test_a_7b_run_fits_smaller_devices_in_pieces_recomputed_or_shared() -> None:
    shape = model_shape(find_encoder("whisper-large-v3").dims, find_llm("Qwen2.5-7B").dims)
    whole, pieces, recomputed, shared = (
        step_memory(shape, _Training(*JOINT), Precision.BF16, lengths(), 160.0, thrift)
        for thrift in (
            StepExecution(),
            StepExecution(pieces=4),
            StepExecution(recompute=True),
            StepExecution(processes=4, shard=True),
        )
    )
    assert whole.total > 80e9 > 48e9 > max(pieces.total, recomputed.total, shared.total)
    assert pieces.activations == shared.activations == pytest.approx(whole.activations / 4, abs=1)
    assert recomputed.activations < whole.activations / 10
    endless, alone = (
        step_memory(shape, _Training(*JOINT), Precision.BF16, lengths(), seconds, thrift)
        for seconds, thrift in ((160.0, StepExecution(pieces=1000)), (5.0, StepExecution()))
    )
    assert endless == alone
    assert pieces.total - pieces.activations == recomputed.total - recomputed.activations


def test_activations_grow_with_the_audio_of_a_step_and_nothing_else_does() -> None:
    shape = model_shape(find_encoder("whisper-small").dims, find_llm("Qwen2.5-0.5B").dims)
    short, long = (
        step_memory(shape, _Training(*JOINT), Precision.BF16, lengths(), seconds) for seconds in (40.0, 160.0)
    )
    assert (long.activations, short.activations) == (
        pytest.approx(4 * (short.activations or 0), rel=1e-6),
        short.activations,
    )
    assert long.total - short.total == (long.activations or 0) - (short.activations or 0)


def test_activations_of_an_encoder_that_is_not_known_are_not_guessed() -> None:
    memory = step_memory(model_shape(MINI_WAV2VEC2, MINI_LLM), _Training(*JOINT), Precision.FP32, lengths(), 40.0)
    assert memory.activations is None
    assert memory.total == memory.weights + memory.gradients + memory.moments


def _logits(shape: ModelShape, objective: Objective) -> int:
    vocabulary = shape.encoder.vocabulary if objective is Objective.ASR else shape.llm.vocabulary
    return BYTES * LOGIT_COPIES * int(lengths().llm_tokens.sum()) * vocabulary


def _all(weights: Collection[Tensor]) -> int:
    return sum(weight.nbytes for weight in weights)


def _trained(weights: Collection[Tensor]) -> int:
    return sum(weight.nbytes for weight in weights if weight.requires_grad)


def _fused_outputs(shape: ModelShape, parts: frozenset[Part]) -> int:
    batch = lengths()
    frames, encoder = int(shape.encoder_frames(batch).sum()), shape.encoder
    outputs = frames * encoder.layers * encoder.width * (Part.ENCODER in parts)
    if Part.ASR_DECODER in parts:
        return BYTES * (outputs + int(shape.output_positions(batch).sum()) * 2 * encoder.decoder_layers * encoder.width)
    return BYTES * (
        outputs + int(shape.llm_positions(batch).sum()) * shape.llm.layers * shape.llm.heads * shape.llm.head_dim
    )


class _Training:
    def __init__(self, objective: Objective, parts: frozenset[Part]) -> None:
        self.objective, self.parts = objective, parts
