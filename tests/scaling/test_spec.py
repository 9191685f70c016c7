"""Keys: equal content has equal keys, whatever it is called and wherever it runs; all else is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from specs import DATA, MODEL, OPTIMIZATION, node, run, stage

from scaling.keys import canonical, digest
from scaling.spec import Objective, Part, Scoring, Strategy, node_from_json, node_to_json


def test_the_key_of_a_run_is_pinned():
    """Change these lines only on purpose, together with RECIPE_VERSION: every stored result depends on them."""
    assert run().key == "7cec677d4b20e25a94e3"
    assert node().key == "e3248d4ca35d14888072"
    assert node(final=True).key == "408ab56293024b4ba943"


def test_labels_enter_no_key():
    renamed = run(
        model=replace(MODEL, encoder_name="other", llm_name="another"),
        strategy=Strategy(name="my-joint", stages=(stage(name="everything"),)),
    )
    assert renamed == run()
    assert renamed.key == run().key


@pytest.mark.parametrize(
    "changes",
    [
        {"budget_flops": 10**12 + 1},
        {"seed": 1},
        {"model": replace(MODEL, encoder="f" * 20)},
        {"model": replace(MODEL, stack=4)},
        {"data": replace(DATA, train="u" * 20)},
        {"data": replace(DATA, test=(("clean", "x" * 20),))},
        {"strategy": Strategy(name="joint", stages=(stage(trains=((Part.PROJECTOR, 5e-3),)),))},
        {"strategy": Strategy(name="joint", stages=(stage(optimization=replace(OPTIMIZATION, warmup_steps=21)),))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_changes_the_weights_or_the_score_changes_the_key(changes):
    assert run(**changes).key != run().key


def test_where_a_node_sets_out_from_is_not_part_of_what_it_is():
    assert node(start="s" * 20, start_flops=4 * 10**11) == node()
    assert node(start="s" * 20, start_flops=4 * 10**11).key == node().key


def test_a_share_and_the_same_fixed_amount_are_one_node():
    assert node(stage=stage(share=None, flops=10**12)).key == node().key


def test_the_encoders_own_stage_is_shared_by_every_llm_and_the_others_are_not():
    asr = stage(objective=Objective.ASR, trains=((Part.ENCODER, 1e-3), (Part.ASR_DECODER, 1e-3)))
    other = replace(MODEL, llm="m" * 20, stack=4)
    assert node(stage=asr).key == node(stage=asr, model=other).key
    assert node().key != node(model=other).key


def test_test_sets_enter_the_key_only_where_a_run_ends():
    other = replace(DATA, test=(("noisy", "n" * 20),))
    assert node(data=other).key == node().key
    assert node(data=other, final=True).key != node(final=True).key


def test_scoring_enters_the_key_where_a_run_ends_and_only_if_it_is_not_plain():
    assert run(data=replace(DATA, scoring=Scoring.PLAIN)).key == run().key
    mandarin = replace(DATA, scoring=Scoring.MANDARIN)
    assert run(data=mandarin).key != run().key
    assert node(data=mandarin).key == node().key
    assert node(data=mandarin, final=True).key != node(final=True).key


def test_a_node_written_before_scoring_had_a_name_is_plain():
    written = node_to_json(node(final=True))
    assert written["data"].pop("scoring") == "plain"
    assert node_from_json(written) == node(final=True)


def test_a_node_survives_json():
    branch = node(parent="p" * 20, start="s" * 20, start_flops=1, cooldown_from_flops=4 * 10**11, final=True)
    back = node_from_json(json.loads(json.dumps(node_to_json(branch))))
    assert back == branch
    assert (back.start, back.stage.name, back.model.llm_name) == ("s" * 20, "joint", "tiny")


def test_keys_do_not_depend_on_hash_randomisation():
    code = "from specs import node; print(node().key)"
    folder = Path(__file__).parent
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{folder}:{folder.parent.parent}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert keys == {node().key + "\n"}


@pytest.mark.parametrize(
    "value", [{1: 2}, {1, 2}, object(), float("nan"), b"bytes"], ids=lambda value: type(value).__name__
)
def test_what_has_no_stable_form_is_refused(value):
    with pytest.raises(TypeError, match="canonical form"):
        canonical(value)


def test_an_integer_and_its_float_are_different_content():
    assert digest({"a": 1}) != digest({"a": 1.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trains": ()}, "at least one part"),
        ({"trains": ((Part.PROJECTOR, 1e-3), (Part.ENCODER, 1e-3))}, "in order"),
        ({"objective": Objective.ASR}, "never reaches"),
        ({"share": None}, "either a share"),
        ({"flops": 10}, "either a share"),
        ({"share": 1.5}, "must lie in"),
    ],
)
def test_an_impossible_stage_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        stage(**changes)


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"sum to 0\.9, not 1"):
        Strategy(name="short", stages=(stage(share=0.5), stage(share=0.4)))
