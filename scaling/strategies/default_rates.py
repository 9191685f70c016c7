"""Peak learning rates and batches where a study sets none: rules in the sizes of models, equal for all strategies."""

from scaling.spec import Objective, Part

SMALL_LLM_PARAMS = 100_000_000
"""LLMs with fewer parameters count as small in `default_batch_audio_seconds`, which gives the sources."""

SMALL_BATCH_AUDIO_SECONDS = 5.0
BATCH_AUDIO_SECONDS = 160.0

ENCODER, PROJECTOR, LLM_LORA, ASR_DECODER = Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA, Part.ASR_DECODER


def default_rates(objective: Objective, encoder_width: int, llm_width: int) -> dict[Part, float]:
    """Peak learning rates for AdamW by part, from the widths of the models: the starting point of a search.

    * Level: measured on the minis, where `efin`, `joint` and `frozen_encoder` had the same search at two budgets, with
      the choice on dev (results/tuning). Every best rate lies within a factor of sqrt(3) of the rule. For adapters of
      the LLM 0.6 to 0.75 of the rule was best. At four times the FLOPs, the tuned rates and the rule were equally good.
    * Stage: an encoder that trains through the LLM has half the rate of its own stage. Joint training tolerates less:
      with all rates at 1.7 times the rule its error is twice the best, and that of `efin` a third above
      (results/tuning).
    * Width of the LLM: 1/width for all parts that train through it (Adam under mu-parametrisation, Yang et al. 2022),
      tried on widths 96 and 160 (LOG.md).
    * Width of the encoder: 1/width^2, an assumption. It connects the minis to the rates that Whisper's authors
      recommend for fine-tuning, which fall by 8 from width 384 to 1280.
    * Budget: no drift of a best rate was found between 3e10 and 1.2e11 FLOPs. Batch: rates do not depend on it, an
      assumption. `asr-scaling tune` measures levels, drifts and the batch on your models.
    """
    encoder, llm = (96 / encoder_width) ** 2, 96 / llm_width
    if objective is Objective.ASR:
        return {ENCODER: 1.2e-3 * encoder, Part.ENCODER_LORA: 2.4e-3 * encoder, ASR_DECODER: 1.2e-3 * encoder}
    return {
        ENCODER: 6e-4 * encoder,
        Part.ENCODER_LORA: 1.2e-3 * encoder,
        PROJECTOR: 3e-3 * llm,
        LLM_LORA: 3e-3 * llm,
        Part.LLM: 3e-4 * llm,
    }


def default_batch_audio_seconds(llm_params: int) -> float:
    """Seconds of audio in a step of every stage, from the size of the LLM: the starting point of a search.

    * Level: the minis at 3e10 and 9e10 FLOPs, with rates tuned too, are best with one utterance in each step (0.625 s)
      in `efin` and with 1.25 s in `joint` (results/tuning). The 5 s of the rule are for larger budgets. With an LLM of
      100 M parameters or more, about 32 utterances of 5 s: assumption.
    * Stage: one batch for all stages, an assumption. An encoder that trains through the LLM needs a larger batch: at
      the rates of the rule 0.625 s gave `joint` 32 % and 75 % more error than 2.5 s.
    * Budget: the best batch grows with the budget, because the loss from too large a batch falls (5 s gave `efin` 70 %,
      then 19 % more error than its best). The rule does not grow, so that all budgets share their trunks; a batch that
      `asr-scaling tune` finds may.
    """
    return SMALL_BATCH_AUDIO_SECONDS if llm_params < SMALL_LLM_PARAMS else BATCH_AUDIO_SECONDS
