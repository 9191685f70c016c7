import itertools
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from encoder_reference import MINI_ENCODER, MINI_ENCODERS, MINI_WAV2VEC2, asr_module, wav2vec2_config
from flop_reference import (
    ATTENTION_ONLY,
    MINI_LLM,
    MINI_UNTIED,
    PRESET_STAGES,
    Counted,
    Trains,
    counter,
    llm_module,
    model_shape,
    modules,
    step,
    write_llm_config,
)
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scaling.base_models.encoders import ENCODERS, EncoderDims, encoder_dims, with_fresh_head
from scaling.base_models.llm_families import FAMILIES
from scaling.base_models.llms import LLMS, llm_dims
from scaling.cost.decoding import generation_flops
from scaling.cost.flops import charged, exact_sum, executed, executed_batches, six_nd
from scaling.cost.model_shape import ModelShape, default_lora
from scaling.errors import InputError
from scaling.spec import LoraSpec, Objective, Part
from scaling.speech.lengths import Lengths


def lengths(samples: list[int], asr_tokens: list[int], llm_tokens: list[int]) -> Lengths:
    return Lengths(samples=np.array(samples), asr_tokens=np.array(asr_tokens), llm_tokens=np.array(llm_tokens))


UNEVEN = lengths([80_000, 63_333, 16_159], [20, 9, 11], [18, 12, 21])
ALONE = UNEVEN[1:2]


def assert_counted(counted: Counted, shape: ModelShape, training: Trains, batch: Lengths) -> None:
    costs = executed(shape, training, batch).values()
    assert sum(cost.forward for cost in costs) == counted.forward
    assert sum(cost.input_grad + cost.weight_grad for cost in costs) == counted.backward


def assert_recomputed(counted: Counted, shape: ModelShape, training: Trains, batch: Lengths) -> None:
    """The forward pass is the same; what is run again is run during the backward pass."""
    once, twice = (executed(shape, training, batch, recompute=recompute).values() for recompute in (False, True))
    assert sum(cost.forward for cost in once) == counted.forward
    assert sum(cost.total for cost in twice) == counted.forward + counted.backward


def two_layers(shape: ModelShape) -> ModelShape:
    """The same widths with two layers a module: layers after the second repeat it (full depth has a test below)."""
    decoder = {"decoder_layers": 2} if hasattr(shape.encoder, "decoder_layers") else {}
    encoder = replace(shape.encoder, layers=2, **decoder)
    return replace(shape, encoder=encoder, llm=replace(shape.llm, layers=2))


WIDEST = [max((t for t in PRESET_STAGES if t.objective is o), key=lambda t: len(t.parts)) for o in Objective]
"""Of each objective, the stage that trains the most parts: it passes through every product of both models."""


def stages_of_presets(quick: list[Trains]) -> list[ParameterSet]:
    """Every stage; all but the `quick` ones take minutes together."""
    return [
        pytest.param(stage, id="+".join(sorted(stage.parts)), marks=[] if stage in quick else pytest.mark.slow)
        for stage in PRESET_STAGES
    ]


REAL = [
    ("whisper-tiny", "SmolLM2-135M", {}),
    ("whisper-tiny.en", "Qwen2.5-0.5B", {"llm_lora": ATTENTION_ONLY}),
    ("whisper-base", "Qwen3-0.6B", {"stack": 5}),
    ("whisper-small", "Qwen2.5-1.5B", {"hidden": 2048}),
    ("whisper-small", "Llama-3.2-1B", {"stack": 1, "llm_prompt_tokens": 0, "asr_prompt_extra": 0}),
    ("whisper-medium", "Qwen2.5-7B", {}),
    ("whisper-large-v2", "Qwen3-4B", {"llm_lora": ATTENTION_ONLY}),
    ("whisper-large-v3", "Llama-3.2-3B", {"stack": 8}),
    ("whisper-large-v3-turbo", "Qwen2.5-3B", {}),
    ("wav2vec2-base", "Qwen2.5-0.5B", {}),
    ("wav2vec2-large-960h-lv60-self", "Qwen3-0.6B", {"stack": 3}),
    ("hubert-large-ls960-ft", "SmolLM2-135M", {"encoder_lora": ATTENTION_ONLY}),
    ("wavlm-large", "SmolLM2-135M", {}),
    ("omniasr-ctc-1b-v2", "SmolLM2-135M", {}),
    ("parakeet-ctc-1.1b", "SmolLM2-135M", {"stack": 1}),
    ("w2v-bert-2.0", "SmolLM2-135M", {}),
    ("Voxtral-Mini-3B-2507", "SmolLM2-135M", {}),
]


@pytest.mark.parametrize(("encoder", "llm", "changes"), REAL)
@pytest.mark.parametrize("training", stages_of_presets(WIDEST))
def test_padded_batches_of_published_widths_cost_what_the_counter_sees(encoder, llm, changes, training):
    shape = two_layers(model_shape(with_fresh_head(ENCODERS[encoder], 4000), LLMS[llm], **changes))
    assert_counted(step(shape, training.objective, training.parts, UNEVEN), shape, training, UNEVEN)


@pytest.mark.slow  # what a family runs again does not depend on its widths: minis of every family are recomputed below
@pytest.mark.parametrize(("encoder", "llm", "changes"), REAL)
@pytest.mark.parametrize("training", stages_of_presets(WIDEST))
def test_layers_of_published_widths_that_run_again_cost_what_the_counter_sees(encoder, llm, changes, training):
    shape = two_layers(model_shape(with_fresh_head(ENCODERS[encoder], 4000), LLMS[llm], **changes))
    assert_recomputed(step(shape, training.objective, training.parts, UNEVEN, recompute=True), shape, training, UNEVEN)


@pytest.mark.slow  # the same widths with two layers are above, and minis have three
@pytest.mark.parametrize("training", stages_of_presets(WIDEST[-1:]))
@pytest.mark.parametrize("encoder", ["whisper-small", "wav2vec2-base"])
def test_a_published_pair_at_full_depth_costs_what_the_counter_sees(encoder, training):
    shape = model_shape(ENCODERS[encoder], LLMS["Qwen2.5-0.5B"])
    assert_counted(step(shape, training.objective, training.parts, UNEVEN), shape, training, UNEVEN)
    assert_recomputed(step(shape, training.objective, training.parts, UNEVEN, recompute=True), shape, training, UNEVEN)


@pytest.mark.parametrize("llm", [MINI_LLM, MINI_UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize(
    "targets",
    [
        default_lora(MINI_LLM).targets,
        ("q_proj", "v_proj"),
        ("k_proj",),
        ("up_proj",),
        ("down_proj",),
        ("v_proj", "gate_proj"),
    ],
    ids="+".join,
)
def test_adapters_above_frozen_inputs_pay_no_gradient_that_does_not_exist(llm, targets):
    shape = model_shape(MINI_ENCODER, llm, llm_lora=LoraSpec(rank=3, alpha=6.0, targets=targets))
    training = Trains(Objective.LLM, frozenset({Part.LLM_LORA}))
    assert_counted(step(shape, training.objective, training.parts, UNEVEN, "cpu"), shape, training, UNEVEN)
    again = step(shape, training.objective, training.parts, UNEVEN, "cpu", recompute=True)
    assert_recomputed(again, shape, training, UNEVEN)


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_layer_of_wav2vec2_is_redone_to_its_norm_if_it_ends_in_one(norm, stable, tmp_path):
    """Published models have the layers' norms first exactly where each convolution has one; a config may say else."""
    dims = replace(MINI_WAV2VEC2, layer_norms=norm == "layer")
    config = wav2vec2_config(dims)
    config.do_stable_layer_norm = stable
    config.save_pretrained(tmp_path)
    shape = model_shape(encoder_dims(tmp_path / "config.json"), MINI_LLM)
    assert shape.encoder == replace(dims, norm_last=None if stable == dims.layer_norms else not stable)
    training = Trains(Objective.ASR, frozenset({Part.ENCODER, Part.ASR_DECODER}))
    counted = step(shape, training.objective, training.parts, UNEVEN, "cpu", recompute=True)
    assert_recomputed(counted, shape, training, UNEVEN)


def test_a_frozen_encoder_and_what_lies_outside_layers_are_never_run_again():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    training = Trains(Objective.LLM, frozenset({Part.PROJECTOR}))
    once, twice = (executed(shape, training, UNEVEN, recompute=recompute) for recompute in (False, True))
    assert {part for part in once if once[part] != twice[part]} == {Part.LLM}
    positions = len(UNEVEN) * int(shape.llm_positions(UNEVEN).max())
    head = 2 * int(UNEVEN.llm_tokens.sum()) * MINI_LLM.width * MINI_LLM.vocabulary
    last = 2 * positions * MINI_LLM.layers * MINI_LLM.ffn * MINI_LLM.width
    assert twice[Part.LLM].forward == 2 * once[Part.LLM].forward - head - last


@pytest.mark.parametrize(
    "parts",
    [
        {Part.PROJECTOR},
        {Part.PROJECTOR, Part.LLM_LORA},
        {Part.LLM},
        pytest.param({Part.LLM_LORA}, marks=pytest.mark.slow),  # one family's adapters above frozen inputs are above
    ],
    ids=lambda parts: "+".join(sorted(parts)),
)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_llms_costs_what_the_counter_sees(family, parts, tmp_path):
    shape = model_shape(MINI_ENCODER, llm_dims(write_llm_config(family, tmp_path)))
    training = Trains(Objective.LLM, frozenset(parts))
    assert_counted(step(shape, Objective.LLM, parts, UNEVEN, "cpu"), shape, training, UNEVEN)
    if parts != {Part.PROJECTOR}:  # whose layers are run again as those of an adapted LLM are
        assert_recomputed(step(shape, Objective.LLM, parts, UNEVEN, "cpu", recompute=True), shape, training, UNEVEN)
    for target in shape.llm.linears if shape.llm.fused else ():  # those of the others are the same, and tested above
        one = replace(shape, llm_lora=LoraSpec(rank=3, alpha=6.0, targets=(target,)))
        assert_counted(step(one, Objective.LLM, parts, UNEVEN, "cpu"), one, training, UNEVEN)


REACHED = {
    Objective.ASR: [Part.ENCODER, Part.ENCODER_LORA, Part.ASR_DECODER],
    Objective.LLM: [Part.ENCODER, Part.ENCODER_LORA, Part.PROJECTOR, Part.LLM_LORA, Part.LLM],
}
"""The parts that a stage of an objective can train."""

OF_EVERY_FAMILY = {
    Objective.ASR: [{Part.ENCODER}, {Part.ENCODER_LORA}, {Part.ASR_DECODER}, set(REACHED[Objective.ASR])],
    Objective.LLM: [{Part.ENCODER_LORA}, {Part.PROJECTOR}, set(REACHED[Objective.LLM])],
}
"""An encoder that is trained, adapted or frozen, and everything at once. Which parts of the LLM train does not depend
on the family of the encoder; encoders that train in stages of presets are in test_flops_trainer.py."""


def combinations(objective: Objective, sizes: Collection[int]) -> list[set[Part]]:
    return [set(chosen) for size in sizes for chosen in itertools.combinations(REACHED[objective], size)]


def assert_every_cost(objective: Objective, encoder: EncoderDims, trained: list[set[Part]]) -> None:
    targets = (encoder.linears[1], encoder.linears[4])  # keys, and the first layer of the feed-forward
    shape = model_shape(encoder, MINI_LLM, encoder_lora=replace(ATTENTION_ONLY, targets=targets))
    for parts in trained:
        training = Trains(objective, frozenset(parts))
        assert_counted(step(shape, objective, parts, UNEVEN, "cpu"), shape, training, UNEVEN)
        assert_recomputed(step(shape, objective, parts, UNEVEN, "cpu", recompute=True), shape, training, UNEVEN)


@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
@pytest.mark.parametrize("objective", Objective)
def test_trained_adapted_and_frozen_encoders_of_every_family_cost_what_the_counter_sees(objective, encoder):
    assert_every_cost(objective, encoder, OF_EVERY_FAMILY[objective])


@pytest.mark.parametrize("objective", Objective)
def test_parts_alone_in_pairs_and_all_together_cost_what_the_counter_sees(objective):
    assert_every_cost(objective, MINI_ENCODER, combinations(objective, {1, 2, len(REACHED[objective])}))


@pytest.mark.slow  # 31 combinations of each family; those that a family can have a say in are above
@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
@pytest.mark.parametrize("objective", Objective)
def test_every_combination_of_trained_parts_costs_what_the_counter_sees(objective, encoder):
    assert_every_cost(objective, encoder, combinations(objective, range(1, len(REACHED[objective]) + 1)))


def assert_charged_alone(encoder: EncoderDims, training: Trains, rows: Collection[int]) -> None:
    shape = model_shape(encoder, MINI_LLM, stack=3)
    for row in rows:
        counted = step(shape, training.objective, training.parts, UNEVEN[row : row + 1], "cpu")
        assert charged(shape, training, UNEVEN)[row] == counted.forward + counted.backward


@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
def test_an_utterance_is_charged_what_the_counter_sees_of_it_alone(encoder):
    """Each stage of the presets with one utterance, each utterance with some stage."""
    for place, training in enumerate(PRESET_STAGES):
        assert_charged_alone(encoder, training, [place % len(UNEVEN)])


@pytest.mark.slow  # lengths and stages do not depend on each other: each is met above
@pytest.mark.parametrize("training", PRESET_STAGES, ids=lambda training: "+".join(sorted(training.parts)))
@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
def test_every_utterance_is_charged_what_the_counter_sees_of_it_alone(encoder, training):
    assert_charged_alone(encoder, training, range(len(UNEVEN)))


def test_charges_by_part_add_up_to_the_charges_and_never_exceed_the_padded_batch():
    shape = model_shape(ENCODERS["whisper-small"], LLMS["Qwen2.5-7B"])
    for training in PRESET_STAGES:
        total = sum(charged(shape, training, UNEVEN, only={part}).sum() for part in Part)
        assert total == charged(shape, training, UNEVEN).sum()
        assert total < sum(cost.total for cost in executed(shape, training, UNEVEN).values())


@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
def test_many_batches_at_once_cost_what_each_costs_alone(encoder):
    shape = model_shape(encoder, MINI_LLM)
    training = PRESET_STAGES[-1]
    batches = [np.array([2]), np.array([1, 0]), np.array([0, 1, 2])]
    one_by_one = [sum(c.total for c in executed(shape, training, UNEVEN[batch]).values()) for batch in batches]
    assert executed_batches(shape, training, UNEVEN, batches).tolist() == one_by_one


def test_a_frozen_encoder_costs_its_forward_pass_and_a_frozen_llm_two_thirds():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    costs = executed(shape, Trains(Objective.LLM, frozenset({Part.PROJECTOR})), UNEVEN)
    assert (costs[Part.ENCODER].input_grad, costs[Part.ENCODER].weight_grad) == (0, 0)
    assert costs[Part.LLM].weight_grad == 0
    longest = int(shape.llm_positions(UNEVEN).max())
    pairs = 3 * longest**2 * 32 * MINI_LLM.layers
    assert costs[Part.LLM].input_grad == costs[Part.LLM].forward + 4 * pairs


def test_adapters_are_charged_apart_and_only_where_they_train():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    without = executed(shape, Trains(Objective.LLM, frozenset({Part.PROJECTOR})), UNEVEN)
    with_lora = executed(shape, Trains(Objective.LLM, frozenset({Part.PROJECTOR, Part.LLM_LORA})), UNEVEN)
    assert Part.LLM_LORA not in without
    assert with_lora.pop(Part.LLM_LORA).total > 0
    assert with_lora == without


@pytest.mark.parametrize("name", ["Qwen2.5-0.5B", "Qwen3-0.6B", "Llama-3.2-1B"])
def test_rotary_tables_are_no_matrix_products(name):
    rotary = llm_module(replace(LLMS[name], layers=1), "meta").get_decoder().rotary_emb
    counter = FlopCounterMode(display=False)
    with counter:
        rotary(torch.zeros(2, 7, 8, device="meta"), torch.zeros(2, 7, dtype=torch.long, device="meta"))
    assert counter.get_total_flops() == 0


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("llm", ["Qwen2.5-0.5B", "Qwen3-0.6B", "Llama-3.2-1B"])
def test_generation_costs_what_the_counter_sees(llm, beams):
    dims = replace(LLMS[llm], width=64, layers=2, heads=4, kv_heads=2, head_dim=16, ffn=96, vocabulary=50)
    shape = model_shape(MINI_ENCODER, dims)
    batch, new_tokens = lengths([16_000] * 3, [5] * 3, [5] * 3), 6
    prompt = int(shape.speech_tokens(batch)[0]) + shape.llm_prompt_tokens + 1
    model = llm_module(dims, "cpu").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.generate(
            inputs_embeds=torch.randn(3, prompt, 64), attention_mask=torch.ones(3, prompt, dtype=torch.long),
            num_beams=beams, do_sample=False, min_new_tokens=new_tokens, max_new_tokens=new_tokens,
        )  # fmt: skip
    costs = generation_flops(shape, Objective.LLM, batch, new_tokens, beams)
    assert costs["prefill"] + costs["steps"] == counter.get_total_flops()
    frozen = executed(shape, Trains(Objective.LLM, frozenset({Part.PROJECTOR})), batch)
    assert (costs["encoder"], costs["projector"]) == (frozen[Part.ENCODER].forward, frozen[Part.PROJECTOR].forward)


def test_the_asr_decoders_generation_costs_what_the_counter_sees():
    from scaling.asr.model.encoders.text_decoder import greedy_decode
    from scaling.asr.model.encoders.whisper import encode

    shape = model_shape(MINI_ENCODER, MINI_LLM)
    batch, new_tokens = lengths([16_000, 9_000], [5, 5], [5, 5]), 7
    frames = torch.from_numpy(batch.samples // MINI_ENCODER.hop_length)
    model = asr_module(MINI_ENCODER, "cpu").eval()
    counter = FlopCounterMode(display=False)
    prefix = tuple(range(2, 2 + shape.asr_prompt_extra + 1))
    with counter:
        encoded = encode(model.model.encoder, torch.zeros(2, 20, int(frames.max())), frames)
        greedy_decode(model, *encoded, prefix, -1, new_tokens)
    assert sum(generation_flops(shape, Objective.ASR, batch, new_tokens).values()) == counter.get_total_flops()


def test_convolutions_without_groups_are_counted_as_torch_counts_them():
    conv = nn.Conv1d(6, 8, 5, stride=2, padding=1)
    for count in (counter(), FlopCounterMode(display=False)):
        with count:
            conv(torch.randn(3, 6, 40, requires_grad=True)).sum().backward()
        assert count.get_total_flops() == 3 * 2 * 3 * 19 * 8 * 6 * 5


def test_ctc_writes_at_the_price_of_its_head():
    from scaling.asr.model.encoders.wav2vec2 import WAV2VEC2

    shape = model_shape(MINI_WAV2VEC2, MINI_LLM)
    batch = lengths([16_000, 9_000], [5, 5], [5, 5])
    model, count = asr_module(MINI_WAV2VEC2, "cpu").eval(), counter()
    with torch.no_grad(), count:
        encoded = WAV2VEC2.encode(model, torch.randn(2, 1, 16_000), torch.from_numpy(batch.samples))
        WAV2VEC2.objective.decode(model, None, encoded, 100)
    assert sum(generation_flops(shape, Objective.ASR, batch, 100).values()) == count.get_total_flops()


def test_six_nd_is_the_textbook_figure():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    asr, llm = (next(t for t in PRESET_STAGES if t.objective is objective) for objective in Objective)
    whole = MINI_ENCODER.encoder_params + MINI_ENCODER.asr_decoder_params
    assert six_nd(shape, asr, ALONE) == 6 * whole * (9 + 2)
    speech = 25  # 63 333 samples: 197 mel frames, 99 positions, 24.75 stacks
    assert six_nd(shape, llm, ALONE) == 6 * (MINI_ENCODER.encoder_params + shape.projector_params + MINI_LLM.params) * (
        speech + 5 + 12
    )


def test_sums_beyond_64_bits_stay_exact():
    values = np.full(1000, 2**62 + 12345, dtype=np.int64)
    assert exact_sum(values) == 1000 * (2**62 + 12345)


def test_large_batches_of_large_models_do_not_overflow_by_part():
    shape = model_shape(ENCODERS["whisper-large-v3"], LLMS["Qwen2.5-7B"])
    one = lengths([480_000], [100], [100])
    many = Lengths(samples=one.samples.repeat(10**6), asr_tokens=one.asr_tokens.repeat(10**6),
                   llm_tokens=one.llm_tokens.repeat(10**6))  # fmt: skip
    training = Trains(Objective.LLM, frozenset({Part.ENCODER, Part.PROJECTOR, Part.LLM}))
    total = sum(cost.total for cost in executed(shape, training, many).values())
    assert total == 10**6 * int(charged(shape, training, one)[0]) > 2**63
    assert total == exact_sum(charged(shape, training, many))


def test_a_lora_target_that_names_no_layer_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="'q_prj' names no linear layer; did you mean 'q_proj'"):
        model_shape(MINI_ENCODER, MINI_LLM, llm_lora=LoraSpec(rank=8, alpha=16.0, targets=("q_prj",)))


def test_parameters_of_the_projector_are_those_of_its_module():
    shape = model_shape(MINI_ENCODER, MINI_LLM, hidden=48)
    assert shape.projector_params == sum(p.numel() for p in modules(shape, "meta").projector.parameters())


def test_text_that_ctc_has_no_frames_for_is_found():
    shape = model_shape(MINI_WAV2VEC2, MINI_LLM, asr_prompt_extra=-1)
    samples = 320 * 9 + 365  # ten frames
    assert shape.encoder_frames(lengths([samples], [1], [1])).tolist() == [10]
    batch = lengths([samples] * 2 + [320 * 100_000], [11, 12, 12], [5] * 3)
    assert shape.too_long(batch).tolist() == [False, True, False]


def test_utterances_beyond_the_encoders_window_are_found():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    fits, long_audio, long_text = [320 * 400], [320 * 401], [320]
    batch = lengths(fits + long_audio + long_text, [5, 5, 63], [5, 5, 5])
    assert shape.too_long(batch).tolist() == [False, True, True]
