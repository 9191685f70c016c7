"""A plan warns about budgets at which a strategy is not known to hear."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from node_results import node_result
from small_study import StudyWriter

from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile, read_plan_file
from sweeps.costs.cost_estimate import estimate_cost
from sweeps.costs.tariff import tariff_of
from sweeps.plan import hearing_onsets
from sweeps.plan.hearing_onsets import BelowOnset, KnownOnset
from sweeps.plan.prepare import Prepared, prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.plan_report import plan_document, plan_text

G = 10**9


def entered(study: Path, out: Path) -> tuple[Prepared, PlanFile]:
    ledger = Ledger(out)
    prepared = prepare(str(study), [], ledger)
    write_plan_file(prepared.study, prepared.plan, out, ledger)
    return prepared, read_plan_file(out)


def finish(plan_file: PlanFile, low_by_budget: dict[int, float | None]) -> None:
    """Results of all runs, whose hearing has these lower ends."""
    for run in plan_file.runs:
        low = low_by_budget[int(run.budget_flops)]
        heard = {"flops": 1, "nats": 0.5, "low": low, "high": 0.6, "resampled": "speakers", "n_utterances": 9}
        scores = {"cer": 0.5, "errors": 1, "ref_chars": 2, "n_utterances": 1}
        for key in run.nodes:
            attempt = plan_file.ledger.claim(key, session=plan_file.session)
            if attempt is not None:
                end = key == run.nodes[-1]
                attempt.commit(node_result(hearing=heard, dev=scores, test={"clean": scores}) if end else node_result())


def below(
    write_study: StudyWriter, out: Path, lows: dict[int, float | None], planned: list[int], strategy: str = "joint"
) -> list[BelowOnset]:
    _, plan_file = entered(write_study(strategies=[strategy], budgets_flops=list(lows)), out)
    finish(plan_file, lows)
    grown = write_study(strategies=["joint"], budgets_flops=[*lows, *planned])
    return prepare(str(grown), [], plan_file.ledger).below_onset


@pytest.mark.parametrize(
    ("lows", "planned", "warned", "known"),
    [
        ({2 * G: 0.0, 8 * G: 0.3}, [1 * G, 4 * G, 16 * G], (1 * G, 4 * G), (2 * G, 8 * G)),
        ({2 * G: 0.0, 4 * G: 0.05}, [3 * G, 8 * G], (3 * G,), (4 * G, None)),  # nobody knows about 8e9
        ({2 * G: 0.3, 4 * G: 0.9}, [1 * G, 3 * G], (1 * G,), (None, 2 * G)),
        ({2 * G: 0.3, 4 * G: 0.0, 8 * G: 0.9}, [3 * G], (3 * G,), (4 * G, 8 * G)),  # luck at 2e9 is no onset
    ],
)
def test_budgets_below_the_onset_of_the_study_s_own_runs_are_named(
    write_study: StudyWriter,
    tmp_path: Path,
    lows: dict[int, float | None],
    planned: list[int],
    warned: tuple[int, ...],
    known: tuple[int | None, int | None],
) -> None:
    (found,) = below(write_study, tmp_path / "out", lows, planned)
    assert found.budgets_flops == warned
    assert (found.onset.deaf_flops, found.onset.onset_flops) == known
    assert (found.onset.strategy, found.onset.encoder, found.onset.llm) == ("joint", "encoder", "llm")


def test_nothing_is_said_above_the_onset_without_an_interval_and_of_another_strategy(
    write_study: StudyWriter, tmp_path: Path
) -> None:
    assert below(write_study, tmp_path / "above", {2 * G: 0.0, 4 * G: 0.3}, [8 * G]) == []
    assert below(write_study, tmp_path / "unknown", {2 * G: None, 4 * G: None}, [1 * G]) == []
    assert below(write_study, tmp_path / "other", {2 * G: 0.0, 4 * G: 0.3}, [1 * G], "frozen_encoder") == []


def test_the_plan_warns_in_its_text_and_in_its_document_also_from_measured_pairs(
    write_study: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = KnownOnset(
        strategy="joint", encoder="encoder", llm="llm", deaf_flops=2e9, onset_flops=4e9, source="a reference study"
    )
    language = next(iter(prepare(str(write_study()), [], None).plan.runs)).spec.data.language
    monkeypatch.setitem(hearing_onsets.MEASURED, language, (measured,))
    prepared = prepare(str(write_study()), [], None)
    costs = estimate_cost(prepared, None, tariff_of(None, None, None), None)
    assert (
        "  ! below_onset: joint (encoder + llm) may not hear the speech at 2e+09 FLOPs: 2e+09 FLOPs did not"
        " hear, 4e+09 FLOPs did (a reference study)" in plan_text(prepared, costs).splitlines()
    )
    assert any(text.startswith("below_onset: joint") for text in plan_document(prepared, costs)["warnings"])
    assert plan_document(prepared, costs)["below_onset"] == [
        {
            "strategy": "joint",
            "encoder": "encoder",
            "llm": "llm",
            "budgets_flops": (2e9,),
            "deaf_flops": 2e9,
            "onset_flops": 4e9,
            "source": "a reference study",
        }
    ]


@pytest.mark.parametrize(
    ("pair", "language", "deaf_flops"),
    [
        (("joint", "mini-s", "mini-s"), "en", 3.2e11),
        (("joint", "mini-s", "mini-s"), "zh", 1e10),
        (("joint", "mini-s", "mini-m"), "zh", None),
        (("efin", "whisper-tiny.en", "SmolLM2-135M-Instruct"), "en", 4e12),
        (("efin", "whisper-tiny.en", "SmolLM2-135M-Instruct"), "zh", None),
    ],
)
def test_measured_onsets_are_of_a_pair_in_a_language(
    pair: hearing_onsets.Pair, language: str, deaf_flops: float | None
) -> None:
    found = hearing_onsets.measured_onset(pair, language)
    assert (found and found.deaf_flops) == deaf_flops


REAL_PAIR = ("whisper-tiny.en", "smollm2-135m")
RESULTS = Path(__file__).parents[3] / "results"


def test_the_published_onsets_of_the_real_pair_are_those_that_plans_warn_by() -> None:
    text = (RESULTS / "real-english" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \| ([\de]*) ?\| ([\de]*) ?\| [^|]*\[", text, re.MULTILINE)
    published = {name: (hears, deaf) for name, hears, deaf in rows}
    known = {
        known.strategy: known for known in hearing_onsets.MEASURED["en"] if (known.encoder, known.llm) == REAL_PAIR
    }
    assert published.keys() == known.keys()
    for name, flops in published.items():
        stated = tuple(float(number) if number else None for number in flops)
        assert stated == (known[name].onset_flops, known[name].deaf_flops)


@pytest.mark.parametrize(
    ("study", "strategy", "deaf_flops", "hearing_flops"),
    [
        ("hearing", "efin", 4e10, 8e10),
        ("hearing", "joint", 3.2e11, None),
        ("reference", "efin", 1e10, 4e10),
        ("reference", "frozen_encoder", 1e10, 2e10),
        ("reference", "joint", 1e10, 4e10),
    ],
)
def test_the_onsets_of_minis_that_are_published_are_those_of_their_tables(
    study: str, strategy: str, deaf_flops: float, hearing_flops: float | None
) -> None:
    """No run hears at `deaf_flops`; every run does from `hearing_flops` on, and not every run below."""
    rows = [json.loads(line) for line in (RESULTS / study / "runs.jsonl").read_text().splitlines()]
    hears = defaultdict(list)
    for row in rows:
        if (row["strategy"], row["encoder"], row["llm"]) == (strategy, "mini-s", "mini-s"):
            hears[row["budget_flops"]].append(row["hears"])
    assert not any(hears[deaf_flops])
    from_all = [flops for flops in hears if all(all(hears[above]) for above in hears if above >= flops)]
    assert min(from_all, default=None) == hearing_flops
