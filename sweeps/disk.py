"""Bytes of checkpoints that a study needs, by the rule of `sweeps.keeping`, before it is started."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scaling.spec import ModelSpec, Part
from sweeps.appetite import geometry_of
from sweeps.keeping import kept, use_of
from sweeps.plan import Plan, needed
from sweeps.study import Study

BYTES = 4
"""Of a weight or a moment: fp32, whatever the precision of the products."""

MOMENTS = 2
"""AdamW's, beside each weight that a trunk goes on training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes of checkpoints: at most at a time, one worker taking the nodes in order, and those kept at the end.

    Adapters are counted as if their layers were square; features, corpora and logs are not counted.
    """

    peak_bytes: int
    kept_bytes: int


def disk(study: Study, plan: Plan) -> Disk:
    """What the whole plan writes and keeps, whatever of it is finished already."""
    sizes = _sizes(study, plan)
    ends = kept({key: use_of(link.node, link.trunk) for key, link in plan.nodes.items()}, plan.nodes)
    users = Counter(need for link in plan.nodes.values() for need in needed(link))
    present = peak = 0
    for key, link in plan.nodes.items():
        present += sizes[key]
        peak = max(peak, present)
        for need in needed(link) & plan.nodes.keys():
            users[need] -= 1
            if users[need] == 0 and need not in ends:
                present -= sizes[need]
    return Disk(peak_bytes=peak, kept_bytes=sum(sizes[key] for key in ends))


def _sizes(study: Study, plan: Plan) -> dict[str, int]:
    params = {model.spec: _params(model.spec, study) for model in study.models}
    trained: dict[str, frozenset[Part]] = {}
    sizes: dict[str, int] = {}
    for key, link in plan.nodes.items():
        node = link.node
        before = trained.get(node.parent, frozenset()) if node.parent is not None else frozenset()
        trained[key] = before | node.stage.parts
        counts = params[node.model]
        moved = node.stage.parts if node.cooldown_from_flops is None else ()
        weights, moments = (sum(counts[part] for part in parts) for parts in (trained[key], moved))
        sizes[key] = BYTES * (weights + MOMENTS * moments)
    return sizes


def _params(spec: ModelSpec, study: Study) -> Mapping[Part, int]:
    """Parameters of each part. An adapter of a layer of `n` weights has about 2 rank n / width."""
    model = next(model for model in study.models if model.spec == spec)
    geometry = geometry_of(study, model)
    encoder, llm = geometry.encoder, geometry.llm
    return {
        Part.ENCODER: encoder.encoder_params,
        Part.ENCODER_LORA: 2 * spec.encoder_lora.rank * encoder.encoder_params // encoder.width,
        Part.ASR_DECODER: encoder.asr_decoder_params,
        Part.PROJECTOR: geometry.projector_params,
        Part.LLM_LORA: 2 * spec.llm_lora.rank * llm.params // llm.width,
        Part.LLM: llm.params,
    }
