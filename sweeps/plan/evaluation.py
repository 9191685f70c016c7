"""What a study computes beside training: it decodes dev and test sets at the end of each run, and measures hearing."""

from collections.abc import Mapping
from functools import cache

from scaling.cost.decoding import decoding_flops
from scaling.cost.evaluation_pacing import heard_utterances, hearing_flops
from scaling.spec import SAMPLE_RATE, ModelSpec, Objective
from scaling.speech.manifest import Manifest
from sweeps.plan.plan import Plan
from sweeps.study.study import Study


def evaluation_flops(study: Study, plan: Plan) -> Mapping[str, int]:
    """FLOPs of decoding dev and test sets and of measuring hearing, by the key of each node that ends a run."""
    models = {model.spec: model for model in study.models}

    @cache
    def flops(spec: ModelSpec, objective: Objective) -> int:
        model = models[spec]
        lengths = [model.lengths(manifest) for manifest in held_out(study)]
        shares = [_stands_for(manifest) for manifest in held_out(study)]
        priced = [decoding_flops(model.shape, objective, of_set) for of_set in lengths]
        measuring_hearing = hearing_flops(model.shape, lengths[0][heard_utterances(len(lengths[0]))])
        decoded = round(sum(share * cost for share, cost in zip(shares, priced, strict=True)))
        return decoded + (measuring_hearing if objective is Objective.LLM else 0)

    return {run.end: flops(run.spec.model, run.spec.strategy.stages[-1].objective) for run in plan.runs}


def held_out(study: Study) -> list[Manifest]:
    """The dev set and the test sets."""
    return [study.speech.dev, *(test for _, test in study.speech.tests)]


def evaluated_utterances(study: Study) -> float:
    """Utterances that are decoded where a run ends."""
    return sum(_stands_for(manifest) * len(manifest) for manifest in held_out(study))


def _stands_for(manifest: Manifest) -> float:
    """How many utterances each utterance of the manifest stands for: more than one only where lengths are assumed."""
    seconds = float(manifest.samples.sum()) / SAMPLE_RATE
    return 3600 * manifest.hours / seconds
