"""What a second of audio costs by the rule of 6 x parameters x tokens, to results/reference/six_nd.json.

    PYTHONPATH=.:tests/analysis python -m reference_study.six_nd_prices [STUDY ...] [--set KEY=VALUE]

N and D are those of `scaling.cost.flops.six_nd`: in stages of the encoder's own objective (`asr`), N is all parameters
of encoder and its decoder and D the decoder's positions; in stages of the LLM (`llm`), N is all parameters of encoder,
projector and LLM, trained or not, adapters left out, and D the LLM's positions: prompt, speech tokens and text. The
mean is over the training speech of the study, which is made on first use.
"""

import argparse
import json

from reference_study.tables import PRICES, RESULTS, STUDIES

from scaling.cost.flops import six_nd
from scaling.spec import SAMPLE_RATE
from scaling.speech.lengths import manifest_lengths
from sweeps.study.study import Study, load_study

FILE = RESULTS / PRICES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"by default {', '.join(STUDIES)}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="replace a field of the study")
    options = parser.parse_args()
    known = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for name in options.studies or STUDIES:
        known[name] = prices(load_study(name, options.set))
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps({one: known[one] for one in STUDIES if one in known}, indent=1) + "\n", "utf-8")


def prices(study: Study) -> dict[str, dict[str, float]]:
    """By pair of models and objective: 6ND FLOPs a second of audio."""
    found = {}
    for model in study.models:
        lengths = manifest_lengths(study.speech.train, encoder=model.encoder.directory, llm=model.llm.directory)
        seconds = float(lengths.samples.sum()) / SAMPLE_RATE
        stages = {stage.objective: stage for strategy in model.strategies for stage in strategy.stages}
        found[f"{model.spec.encoder_name} + {model.spec.llm_name}"] = {
            objective.value: six_nd(model.shape, stage, lengths) / seconds for objective, stage in stages.items()
        }
    return found


if __name__ == "__main__":
    main()
