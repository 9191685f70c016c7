"""The presets: the parts that each stage of a strategy trains, its objective and its share of the budget.

They are presets of this project, not baselines of a paper.
"""

from scaling.errors import InputError, nearest
from scaling.spec import Objective, Part
from scaling.strategies.design import StageDesign, StrategyDesign

ENCODER, PROJECTOR, LLM_LORA, ASR_DECODER = Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA, Part.ASR_DECODER


def _asr(name: str, share: float) -> StageDesign:
    return StageDesign(name=name, objective=Objective.ASR, parts=(ENCODER, ASR_DECODER), share=share)


def _llm(name: str, share: float, *parts: Part) -> StageDesign:
    return StageDesign(name=name, objective=Objective.LLM, parts=parts, share=share)


PRESETS = {
    preset.name: preset
    for preset in (
        StrategyDesign(
            name="efin",
            stages=(
                _asr("encoder", 0.35),
                _llm("projector", 0.15, PROJECTOR),
                _llm("projector_lora", 0.5, PROJECTOR, LLM_LORA),
            ),
        ),
        StrategyDesign(name="joint", stages=(_llm("joint", 1.0, ENCODER, PROJECTOR, LLM_LORA),)),
        StrategyDesign(
            name="frozen_encoder",
            stages=(_llm("projector", 0.3, PROJECTOR), _llm("projector_lora", 0.7, PROJECTOR, LLM_LORA)),
        ),
        StrategyDesign(name="projector_only", stages=(_llm("projector", 1.0, PROJECTOR),)),
        StrategyDesign(
            name="projector_then_joint",
            stages=(_llm("projector", 0.15, PROJECTOR), _llm("joint", 0.85, ENCODER, PROJECTOR, LLM_LORA)),
        ),
        StrategyDesign(
            name="staged_joint",
            stages=(
                _llm("projector", 0.15, PROJECTOR),
                _llm("encoder_projector", 0.35, ENCODER, PROJECTOR),
                _llm("joint", 0.5, ENCODER, PROJECTOR, LLM_LORA),
            ),
        ),
        StrategyDesign(
            name="efin_then_joint",
            stages=(
                _asr("encoder", 0.3),
                _llm("projector", 0.1, PROJECTOR),
                _llm("projector_lora", 0.3, PROJECTOR, LLM_LORA),
                _llm("joint", 0.3, ENCODER, PROJECTOR, LLM_LORA),
            ),
        ),
        StrategyDesign(
            name="efin_no_align", stages=(_asr("encoder", 0.35), _llm("projector_lora", 0.65, PROJECTOR, LLM_LORA))
        ),
    )
}
"""The eight presets. Their shares are an assumption; two presets with the same stages share them in the same ratio."""


def preset(name: str) -> StrategyDesign:
    """The preset of that name. Raises InputError, with the nearest valid name, where there is none."""
    if name not in PRESETS:
        raise InputError(f"strategy {name!r} is not a preset{nearest(name, PRESETS)}")
    return PRESETS[name]
