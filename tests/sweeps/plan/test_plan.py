import itertools
from dataclasses import replace
from typing import Any

import pytest

from scaling.base_models.encoders import ENCODERS
from scaling.base_models.llms import LLMS
from scaling.cost.model_shape import default_lora
from scaling.spec import DataSpec, ModelSpec, Objective, Optimization, Part, Precision, RunSpec, Strategy
from scaling.strategies.design import StrategyRequest
from scaling.strategies.presets import PRESETS
from scaling.strategies.resolve import resolve
from sweeps.plan.plan import Plan, nodes_by_stage, plan_runs

DECADE = [10**11, 178 * 10**9, 316 * 10**9, 562 * 10**9, 10**12]


def run(strategy: str = "joint", budget: int = 10**12, **changes: Any) -> RunSpec:
    cooldown = changes.pop("cooldown", 0.2)
    llm, seed = changes.pop("llm", "L"), changes.pop("seed", 0)
    optimization = Optimization(
        batch_audio_seconds=5.0,
        warmup_steps=20,
        cooldown=cooldown,
        beta1=0.9,
        beta2=0.98,
        weight_decay=0.01,
        clip_norm=1.0,
    )
    model = ModelSpec(
        encoder_name="e",
        llm_name="l",
        encoder="E",
        llm=llm,
        stack=2,
        hidden=96,
        encoder_lora=default_lora(ENCODERS["whisper-small"]),
        llm_lora=default_lora(LLMS["Qwen2.5-0.5B"]),
    )
    return RunSpec(
        model=model,
        strategy=resolve(
            StrategyRequest(design=PRESETS[strategy], **changes), optimization, encoder_width=96, llm_width=96
        ),
        budget_flops=budget,
        data=DataSpec(train="t", dev="d", test=(("clean", "c"),), prompt="{speech}", language="zh"),
        seed=seed,
        precision=Precision.FP32,
    )


def keys_of(*runs: RunSpec) -> set[str]:
    return set(plan_runs(runs).nodes)


def test_a_stage_is_a_trunk_and_a_cooldown() -> None:
    ((trunk, branch),) = nodes_by_stage(run(budget=1000))
    assert (trunk.node.until_flops, trunk.node.cooldown_from_flops, trunk.node.final) == (800, None, False)
    assert (branch.node.start, branch.node.start_flops) == (trunk.key, 800)
    assert (branch.node.until_flops, branch.node.cooldown_from_flops, branch.node.final) == (1000, 800, True)


def test_without_cooldown_a_stage_is_its_trunk() -> None:
    ((trunk,),) = nodes_by_stage(run(budget=1000, cooldown=0.0))
    assert (trunk.node.until_flops, trunk.node.cooldown_from_flops, trunk.node.final) == (1000, None, True)


def test_a_stage_begins_where_the_cooldown_of_the_one_before_ended() -> None:
    stages = nodes_by_stage(run("efin"))
    for before, after in itertools.pairwise(stages):
        assert {link.node.parent for link in after} == {before[-1].key}
    assert [link.node.final for links in stages for link in links] == [False] * 5 + [True]


def test_keys_in_a_chain_are_those_of_the_nodes() -> None:
    for links in nodes_by_stage(run("efin")):
        for link in links:
            assert (link.key, link.trunk) == (link.node.key, link.node.trunk)


def test_joint_at_five_budgets_over_a_decade_costs_at_most_60_percent() -> None:
    plan = plan_runs(run(budget=budget) for budget in DECADE)
    assert plan.charged_flops == sum(DECADE)
    assert plan.spent_flops == 8 * 10**11 + sum(budget // 5 for budget in DECADE)  # one trunk, five cooldowns
    assert plan.spent_flops / plan.charged_flops <= 0.6


def test_a_trunk_goes_from_position_to_position() -> None:
    plan = plan_runs(run(budget=budget) for budget in reversed(DECADE))
    trunk = sorted(
        (link.node for link in plan.nodes.values() if link.node.cooldown_from_flops is None),
        key=lambda node: node.until_flops,
    )
    assert [node.start for node in trunk] == [None, *(node.key for node in trunk[:-1])]
    assert [node.start_flops for node in trunk] == [0, *(node.until_flops for node in trunk[:-1])]


def test_a_branch_from_a_shared_trunk_has_the_key_of_the_lone_run() -> None:
    together = keys_of(*(run("efin", budget) for budget in DECADE))
    for budget in DECADE:
        assert keys_of(run("efin", budget)) <= together


def test_a_budget_between_two_old_ones_changes_no_old_key() -> None:
    old = [run(name, budget) for name in ("efin", "joint") for budget in (10**11, 10**12)]
    new = [run(name, 3 * 10**11) for name in ("efin", "joint")]
    assert keys_of(*old) < keys_of(*old, *new)
    assert len(keys_of(*old, *new) - keys_of(*old)) == 6 + 2  # the new runs' own trunk ends and cooldowns


def test_going_on_from_another_study_s_trunk_costs_only_the_rest() -> None:
    (trunk, _branch) = nodes_by_stage(run(budget=10**11))[0]
    alone = plan_runs([run(budget=10**12)])
    after = plan_runs([run(budget=10**12)], {trunk.trunk: {trunk.node.until_flops: trunk.key}})
    assert alone.nodes.keys() == after.nodes.keys()
    assert alone.spent_flops - after.spent_flops == 8 * 10**10
    assert trunk.key in {link.node.start for link in after.nodes.values()}


def test_two_nodes_at_one_place_of_a_trunk_both_go_on_from_the_one_before() -> None:
    """One ends a run and is evaluated, the other only ends a stage: the same weights, two nodes."""
    ends, before = run(budget=10**12, cooldown=0.0), run(budget=10**11, cooldown=0.0)
    (stage,) = ends.strategy.stages
    second = replace(stage, objective=Objective.ASR, trains=((Part.ENCODER, 1e-3),), share=0.5)
    halves = Strategy(name="halves", stages=(replace(stage, share=0.5), second))
    goes_on = replace(ends, strategy=halves, budget_flops=2 * 10**12)
    plan = plan_runs([ends, goes_on, before])
    (key,) = (planned.end for planned in plan.runs if planned.spec == before)
    at_one_place = [
        link for link in plan.nodes.values() if link.node.until_flops == 10**12 and link.node.parent is None
    ]
    assert {link.node.start for link in at_one_place} == {key}
    assert sorted(link.node.final for link in at_one_place) == [False, True]


def test_the_encoder_stage_is_shared_by_every_llm_and_by_strategies_that_begin_alike() -> None:
    def encoder_stage(spec: RunSpec) -> set[str]:
        return {link.key for link in nodes_by_stage(spec)[0]}

    first = encoder_stage(run("efin"))
    assert first == encoder_stage(run("efin", llm="M")) == encoder_stage(run("efin_no_align"))
    assert first.isdisjoint(encoder_stage(run("efin", seed=1)))


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"llm": "M"}, {"cooldown": 0.1}, {"budget": 10**11}, {"rates": {"encoder": 1e-4}}]
)
def test_what_changes_the_outcome_changes_the_keys(changes: dict[str, Any]) -> None:
    assert keys_of(run(**changes)).isdisjoint(keys_of(run()))
    assert run(**changes).key != run().key


def test_names_change_no_key() -> None:
    assert run("joint", name="mine").key == run("joint").key
    assert keys_of(run("joint", name="mine")) == keys_of(run("joint"))


@pytest.mark.parametrize("budgets", [DECADE, DECADE[::-1]])
def test_parents_come_first_and_the_longest_chain_before_all(budgets: list[int]) -> None:
    plan = plan_runs(run(name, budget, seed=seed) for name in PRESETS for budget in budgets for seed in (0, 1))
    order = {key: position for position, key in enumerate(plan.nodes)}
    for key, link in plan.nodes.items():
        assert all(order[need] < order[key] for need in link.node.needs)
    first = plan.nodes[next(iter(plan.nodes))]
    assert longest_chain(plan, first.key) == max(longest_chain(plan, key) for key in plan.nodes)


def longest_chain(plan: Plan, key: str) -> int:
    after = [other.key for other in plan.nodes.values() if key in other.node.needs]
    return plan.nodes[key].node.flops + max((longest_chain(plan, other) for other in after), default=0)


def test_a_run_listed_twice_is_planned_once() -> None:
    plan = plan_runs([run(), run("joint", name="again")])
    assert len(plan.runs) == 1
