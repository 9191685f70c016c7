"""The matrix products of a step, and which of them have a backward pass: a symbolic run of the recogniser."""

from functools import lru_cache

from scaling.base_models.matmul_tape import Flow, Rates, Tape, Weights, Work
from scaling.cost.model_shape import ModelShape
from scaling.spec import Objective, Part


@lru_cache(maxsize=256)
def rates(
    model_shape: ModelShape, objective: Objective, trained: frozenset[Part], *, recompute: bool = False
) -> dict[Part, Rates]:
    """FLOPs of every part for each unit of work, in a step of `objective` that trains `trained`.

    With `recompute`, forward products that gradient checkpointing runs again are counted twice.
    """
    tape = Tape(trained, recompute)
    speech = model_shape.encoder.hear(tape, model_shape.encoder_lora)
    if objective is Objective.ASR:
        model_shape.encoder.write(tape, speech)
    else:
        model_shape.llm.write(tape, model_shape.llm_lora, _projector(tape, model_shape, speech))
    return tape.rates


def _projector(tape: Tape, model_shape: ModelShape, speech: Flow) -> Flow:
    weights = Weights(Part.PROJECTOR)
    stacked = Flow(Work.SPEECH_TOKENS, model_shape.stack * speech.width, speech.needs)
    return tape.linear(weights, "fc2", tape.linear(weights, "fc1", stacked, model_shape.hidden), model_shape.llm.width)
