"""The matrix products of a step, and which of them have a backward pass: a symbolic run of the recogniser."""

from functools import lru_cache

from scaling.geometry import Geometry
from scaling.spec import Objective, Part
from scaling.tape import Flow, Rates, Tape, Weights, Work


@lru_cache(maxsize=256)
def rates(
    geometry: Geometry, objective: Objective, trained: frozenset[Part], *, recompute: bool = False
) -> dict[Part, Rates]:
    """FLOPs of every part for each unit of work, in a step of `objective` that trains `trained`.

    With `recompute`, forward products that gradient checkpointing runs again are counted twice.
    """
    tape = Tape(trained, recompute)
    speech = geometry.encoder.hear(tape, geometry.encoder_lora)
    if objective is Objective.ASR:
        geometry.encoder.write(tape, speech)
    else:
        geometry.llm.write(tape, geometry.llm_lora, _projector(tape, geometry, speech))
    return tape.rates


def _projector(tape: Tape, geometry: Geometry, speech: Flow) -> Flow:
    weights = Weights(Part.PROJECTOR)
    stacked = Flow(Work.SPEECH_TOKENS, geometry.stack * speech.width, speech.needs)
    return tape.linear(weights, "fc2", tape.linear(weights, "fc1", stacked, geometry.hidden), geometry.llm.width)
