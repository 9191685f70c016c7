"""The trainer's own step, watched by torch's counter: what it executes is what `scaling.cost.flops` says."""

from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet
from encoder_reference import MINI_ENCODER, MINI_ENCODERS
from flop_reference import ATTENTION_ONLY, MINI_LLM, MINI_UNTIED, PRESET_STAGES, Trains, counter, model_shape
from recognizers import batch, random_lengths, recognizer
from torch.utils.flop_counter import FlopCounterMode

from scaling.asr.execution.layer_modes import checkpoint_layers
from scaling.asr.model.recognizer import Recognizer
from scaling.cost.flops import charged, executed
from scaling.cost.model_shape import ModelShape
from scaling.spec import Objective, Part
from scaling.speech.lengths import Lengths

MERGED = Trains(Objective.LLM, frozenset({Part.PROJECTOR}))
UNUSUAL = [
    Trains(Objective.ASR, frozenset({Part.ENCODER_LORA})),
    Trains(Objective.ASR, frozenset({Part.ASR_DECODER})),
    Trains(Objective.LLM, frozenset({Part.LLM_LORA})),
    Trains(Objective.LLM, frozenset({Part.ENCODER_LORA, Part.PROJECTOR})),
    Trains(Objective.LLM, frozenset({Part.PROJECTOR, Part.LLM})),
]


def counted_step(model: Recognizer, shape: ModelShape, training: Trains, lengths: Lengths) -> int:
    model.set_trainable(training.parts)
    count = counter()
    with count:
        loss, _ = model.loss(batch(shape, lengths), training.objective)
        loss.backward()
    return count.get_total_flops()


def ways() -> list[ParameterSet]:
    """Stages with every kind of step. In turn one of two kinds for each stage is enough for every day: what a stage
    trains, and what a tied head, the stack and recomputed layers cost, do not depend on each other.
    """
    kinds = {
        "tied": (MINI_LLM, 2, False),
        "untied-recompute": (MINI_UNTIED, 3, True),
        "tied-recompute": (MINI_LLM, 2, True),
        "untied": (MINI_UNTIED, 3, False),
    }
    return [
        pytest.param(*kind, training, id=f"{name}-{'+'.join(sorted(training.parts))}",
                     marks=[] if number == place % 2 else pytest.mark.slow)
        for place, training in enumerate([*PRESET_STAGES, *UNUSUAL])
        for number, (name, kind) in enumerate(kinds.items())
    ]  # fmt: skip


@pytest.mark.parametrize(("llm", "stack", "recompute", "training"), ways())
@pytest.mark.parametrize("encoder", MINI_ENCODERS, ids=lambda dims: dims.name)
def test_a_training_step_executes_what_the_formula_says(recompute, encoder, llm, stack, training):
    queries_and_values = replace(ATTENTION_ONLY, targets=encoder.linears[:3:2])
    shape = model_shape(encoder, llm, stack=stack, encoder_lora=queries_and_values)
    model = recognizer(shape)
    if recompute:
        checkpoint_layers(model)
    for part, lora in ((Part.ENCODER_LORA, shape.encoder_lora), (Part.LLM_LORA, shape.llm_lora)):
        if part in training.parts:
            model.add_adapters(part, lora, seed=0)
    padded = random_lengths(5, seed=1)
    executed_flops = sum(cost.total for cost in executed(shape, training, padded, recompute=recompute).values())
    assert counted_step(model, shape, training, padded) == executed_flops
    if not recompute:
        alone = random_lengths(1, seed=2)
        assert counted_step(model, shape, training, alone) == charged(shape, training, alone)[0]


def test_an_adapter_that_no_longer_trains_is_merged_and_costs_nothing():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    model = recognizer(shape)
    model.add_adapters(Part.LLM_LORA, shape.llm_lora, seed=0)
    model.merge_adapters(Part.LLM_LORA)
    lengths = random_lengths(3, seed=3)
    assert counted_step(model, shape, MERGED, lengths) == sum(
        c.total for c in executed(shape, MERGED, lengths).values()
    )


def test_the_counter_sees_each_part_where_the_formula_puts_it():
    shape = model_shape(MINI_ENCODER, MINI_LLM)
    model, lengths = recognizer(shape), random_lengths(4, seed=4)
    model.set_trainable({Part.PROJECTOR})
    counter = FlopCounterMode(display=False)
    with counter:
        model.loss(batch(shape, lengths), Objective.LLM)
        seen = counter.get_flop_counts()
    costs = executed(shape, MERGED, lengths)
    assert sum(seen["Projector"].values()) == costs[Part.PROJECTOR].forward
    head = 2 * int(lengths.llm_tokens.sum()) * MINI_LLM.width * MINI_LLM.vocabulary
    assert sum(seen["Qwen2Model"].values()) + head == costs[Part.LLM].forward
    assert sum(seen["Global"].values()) == sum(cost.forward for cost in costs.values())
