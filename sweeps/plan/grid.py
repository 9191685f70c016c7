"""Study -> runs: every budget with every model, strategy and seed. Pure enumeration."""

from collections.abc import Iterator

from scaling.spec import RunSpec
from sweeps.study.study import Study


def enumerate_runs(study: Study) -> Iterator[RunSpec]:
    """The runs of a study, by model, strategy, budget and seed."""
    for model in study.models:
        data = model.data(study.speech.spec)
        for strategy in model.strategies:
            for budget_flops in study.budgets_flops:
                tuned = model.strategy_at(strategy, budget_flops)
                for seed in study.seeds:
                    yield RunSpec(
                        model=model.spec,
                        strategy=tuned,
                        budget_flops=budget_flops,
                        data=data,
                        seed=seed,
                        precision=study.precision,
                    )
