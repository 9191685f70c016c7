"""Bytes of checkpoints that a study needs, by the rule of `sweeps.progress.retention`, before it is started."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain

from scaling.cost.memory import BYTES, MOMENTS
from scaling.spec import ModelSpec, Part, Strategy
from sweeps.plan.plan import Plan
from sweeps.progress.retention import retained, use_of
from sweeps.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDisk:
    """Bytes of checkpoints: at most at a time, one worker taking the nodes in order, and those kept at the end.

    Adapters are counted as if their layers were square; features, corpora and logs are not counted.
    """

    peak_bytes: int
    kept_bytes: int


def checkpoint_disk(study: Study, plan: Plan) -> CheckpointDisk:
    """The bytes that the whole plan writes and keeps, including nodes that are finished already."""
    sizes = _sizes(study, plan)
    uses = {key: use_of(link.node, link.trunk) for key, link in plan.nodes.items()}
    ends = retained(uses, uses)
    users = Counter(chain.from_iterable(use.needs for use in uses.values()))
    present = peak = 0
    for key, use in uses.items():
        present += sizes[key]
        peak = max(peak, present)
        for need in use.needs:
            users[need] -= 1
            if users[need] == 0 and need not in ends:
                present -= sizes.get(need, 0)  # the size of a node of another study is not counted
    return CheckpointDisk(peak_bytes=peak, kept_bytes=sum(sizes[key] for key in ends))


def _sizes(study: Study, plan: Plan) -> dict[str, int]:
    params = {model.spec: _params(model.spec, study) for model in study.models}
    sizes: dict[str, int] = {}

    @cache
    def by_stage(model: ModelSpec, strategy: Strategy) -> list[tuple[int, int]]:
        """Bytes of a stage's trunk, and of its end."""
        counts, sizes_by_stage = params[model], []
        trained: frozenset[Part] = frozenset()
        for stage in strategy.stages:
            trained |= stage.parts
            weights = sum(counts[part] for part in trained)
            moments = MOMENTS * sum(counts[part] for part in stage.parts)
            sizes_by_stage.append((BYTES * (weights + moments), BYTES * weights))
        return sizes_by_stage

    for run in plan.runs:
        for (moving, ended), keys in zip(by_stage(run.spec.model, run.spec.strategy), run.stages, strict=True):
            for key in keys:
                sizes[key] = moving if plan.nodes[key].node.cooldown_from_flops is None else ended
    return sizes


def _params(spec: ModelSpec, study: Study) -> Mapping[Part, int]:
    """Parameters of each part. An adapter of a layer of `n` weights has about 2 rank n / width."""
    model_shape = next(model.shape for model in study.models if model.spec == spec)
    encoder, llm = model_shape.encoder, model_shape.llm
    return {
        Part.ENCODER: encoder.encoder_params,
        Part.ENCODER_LORA: 2 * spec.encoder_lora.rank * encoder.encoder_params // encoder.width,
        Part.ASR_DECODER: encoder.asr_decoder_params,
        Part.PROJECTOR: model_shape.projector_params,
        Part.LLM_LORA: 2 * spec.llm_lora.rank * llm.params // llm.width,
        Part.LLM: llm.params,
    }
