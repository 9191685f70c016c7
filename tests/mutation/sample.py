"""Which mutations are made: a sample over all packages, from the lines that tests execute."""

import random
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coverage_map import CoverageMap
from operators import mutations

PACKAGES = ("scaling", "sweeps", "analysis")

LEAST_OF_A_PACKAGE = 4
"""Mutations of the smallest sub-package; the others are shared out by the number of functions."""

SHARE_IN_MOTION = 0.15
"""What may come of files that are about to change, where a mutation is likely not to be found again."""

IN_MOTION = "in motion"

Mutant = dict[str, Any]
"""A row of the record: a mutation's file and fields, and what came of it under the name of each suite."""


def draw(root: Path, known: CoverageMap, size: int, seed: int, in_motion: Collection[str]) -> list[Mutant]:
    """`size` mutations of lines that tests execute, at most one of a function, and every package has its share."""
    rng, chosen = random.Random(seed), []
    functions = {stratum: list(groups.values()) for stratum, groups in _by_function(root, known, in_motion).items()}
    for stratum, quota in _quotas({name: len(groups) for name, groups in functions.items()}, size).items():
        for group in rng.sample(functions.get(stratum, []), quota):
            kind = rng.choice(sorted({mutant["kind"] for mutant in group}))
            chosen.append(rng.choice([mutant for mutant in group if mutant["kind"] == kind]))
    return sorted(chosen, key=lambda mutant: (mutant["file"], mutant["function"]))


def _by_function(
    root: Path, known: CoverageMap, in_motion: Collection[str]
) -> dict[str, dict[tuple[str, str], list[Mutant]]]:
    """By package and by function, all mutations of lines that tests execute."""
    found: dict[str, dict[tuple[str, str], list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        file = path.relative_to(root)
        stratum = IN_MOTION if str(file) in in_motion else ".".join(file.parts[:-1])
        tests = known.lines(str(file))
        for mutation in mutations(path.read_text(encoding="utf-8")):
            if tests.get(mutation.number):
                mutant = {"file": str(file), **asdict(mutation)}
                del mutant["number"]  # says nothing of later code
                found[stratum][str(file), mutation.function].append(mutant)
    return found


def _quotas(functions: dict[str, int], size: int) -> dict[str, int]:
    """How many of each package, by its number of functions."""
    moving = {IN_MOTION: min(functions.get(IN_MOTION, 0), round(SHARE_IN_MOTION * size))}
    still = {name: count for name, count in functions.items() if name != IN_MOTION}
    least = {name: min(LEAST_OF_A_PACKAGE, count) for name, count in still.items()}
    share = max(0, size - sum(moving.values()) - sum(least.values())) / sum(still.values())
    return moving | {name: min(count, least[name] + round(share * count)) for name, count in still.items()}
