"""The blocks of the page on questions 4 and 5: what simpler comparisons conclude, and which design is enough."""

from collections.abc import Iterator, Sequence

from reference_study.formats import NOT_YET, Answers, flops, percent, share, table

from analysis.formatting import number

JUDGED = ("decides_alike", "decides_the_two_alike", "forecasts_hold")
"""What a design is judged by, each a share of all choices of its seeds."""


def untuned(found: Answers) -> list[str]:
    def cells(one: Answers) -> list[str]:
        spread = one["cer_saved_at_one_rate_for_all"]
        return [
            flops(one["flops"]), f"`{one['strategy']}` against `{one['against']}`",
            percent(one["cer_saved_at_the_rule"]), "-" if spread is None else " to ".join(map(percent, spread)),
            percent(one["cer_saved_at_each_best"]), percent(one["open_by_counting"]),
        ]  # fmt: skip

    if not found["untuned"]:
        return ["The search for rates and batches is not there yet."]
    header = [
        "FLOPs",
        "strategies",
        "CER saved at the rule's rates",
        "at any one multiple for all",
        "each at its best",
        "open by counting",
    ]
    return table(header, map(cells, found["untuned"]))


def six_nd(found: Answers) -> list[str]:
    def cells(one: Answers) -> list[str]:
        rates = [number(one["six_nd_over_charged"][name], 3) for name in (one["strategy"], one["against"])]
        exact, rule = one["at_equal_flops"], one["at_equal_six_nd"]
        return [
            one["place"], f"`{one['strategy']}` against `{one['against']}`", ", ".join(rates),
            *(f"{share(said['cer_saved'], said['cer_saved_interval'])}: {said['verdict']}" for said in (exact, rule)),
        ]  # fmt: skip

    if not found["six_nd"]:
        return [f"Comparisons at equal 6ND: {NOT_YET}."]
    header = ["place", "strategies", "6ND over charged FLOPs", "CER saved at equal FLOPs", "at equal 6ND"]
    return table(header, map(cells, found["six_nd"]))


def single_seed(found: Answers) -> list[str]:
    return list(_of_seeds(found["single_seed"]))


def _of_seeds(found: Answers) -> Iterator[str]:
    ways = (
        ("with_fits", "One seed with fits and intervals"),
        ("by_two_runs", "The lower of two runs, with nothing said of chance"),
    )
    for way, words in ways:
        said = found[way]
        if not said["decisions"]:
            yield f"* {words}: {NOT_YET}."
            continue
        yield (
            f"* {words} agrees with all seeds in {said['agree']} of {said['decisions']} decisions. Of {said['claims']} "
            f"claims {said['false']} name a winner where all seeds leave it open, and {said['contrary']} name the "
            f"other winner; {said['missed']} that all seeds tell are missed."
        )


def designs(found: Answers) -> list[str]:
    whole = found.get("designs")
    if whole is None:
        return ["Not known yet: fewer than four budgets are there, or the question was left out (`--quick`)."]
    decisions = "; ".join(f"`{pair.replace(' against ', '` against `')}`: {said}"
                          for pair, said in whole["decisions"].items())  # fmt: skip
    lines = [
        f"The whole: {flops(whole['spent_flops'])} FLOPs, trunks shared; at {flops(whole['top_budget_flops'])} FLOPs "
        f"(planned to {flops(whole['planned_top_flops'])}) it says {decisions}.",
        "",
        f"* {enough('Enough for decision and forecasts', whole['enough'])}",
        f"* {enough('Enough for the decision alone', whole['enough_to_decide'])}",
        f"* {enough('Enough to decide between `efin` and `joint` alone', whole['enough_for_the_two'])}",
        "",
    ]
    header = [
        "FLOPs spent",
        "of the whole",
        "seeds",
        "budgets",
        "asked at",
        "decides alike",
        "`efin` against `joint` alike",
        "all forecasts hold",
    ]
    return [*lines, *table(header, map(design_cells, best(whole["designs"])))]


def enough(what: str, design: Answers | None) -> str:
    if design is None:
        return f"{what}: no design."
    if design["share_of_the_whole"] == 1.0:
        return f"{what}: no smaller part of the runs, so that the whole may not be enough either."
    return (
        f"{what}: {seeds(design)} at {len(design['budgets'])} budgets up to {flops(design['budgets'][-1])}, "
        f"{flops(design['spent_flops'])} FLOPs, {percent(design['share_of_the_whole'])} of the whole."
    )


def best(designs: Sequence[Answers]) -> Iterator[Answers]:
    """Of designs by rising price, those that do better in one of `JUDGED` than every cheaper one, and the whole."""
    so_far = dict.fromkeys(JUDGED, -1.0)
    for design in designs:
        if any(design[what] > most for what, most in so_far.items()) or design is designs[-1]:
            yield design
        so_far = {what: max(most, design[what]) for what, most in so_far.items()}


def design_cells(design: Answers) -> list[str]:
    return [
        flops(design["spent_flops"]), percent(design["share_of_the_whole"]), str(design["seeds"]),
        ", ".join(map(flops, design["budgets"])), f"{number(design['top_over_largest'], 3)} times the largest",
        *(f"{percent(design[what], 0)} of {design['choices']}" for what in JUDGED),
    ]  # fmt: skip


def seeds(design: Answers) -> str:
    return seeds_of(design["seeds"])


def seeds_of(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
