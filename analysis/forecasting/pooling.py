"""Partial pooling: the prior of each curve of a study is moved towards what the study's other curves say.

Each axis of the prior becomes an average of the base, which weighs as much as `STRENGTH` curves, and of the posteriors
of the other curves under the base. A curve never learns from itself, and one round is made, not many: posteriors that
learn from each other again and again agree too well (measured on images: 90 % intervals held .69 instead of .87 at four
times the largest budget).
"""

from collections.abc import Sequence

from analysis.forecasting.evidence import Evidence
from analysis.forecasting.posterior import Posterior
from analysis.forecasting.prior import AXES, Prior

STRENGTH = 6.0


def pooled_priors(evidences: Sequence[Evidence], base: Prior) -> list[Prior]:
    """The prior of each curve of a study."""
    marginals = [Posterior(evidence, base).marginals() for evidence in evidences]
    others = len(evidences) - 1
    return [
        Prior(
            **{
                axis: (STRENGTH * getattr(base, axis) + sum(every[axis] for every in marginals) - own[axis])
                / (STRENGTH + others)
                for axis in AXES
            }
        )
        for own in marginals
    ]
