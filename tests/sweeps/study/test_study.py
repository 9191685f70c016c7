import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
from small_study import StudyWriter, study_fields, write_manifest

from scaling.cost.memory import StepExecution
from scaling.errors import InputError
from scaling.spec import Part
from sweeps.plan.prepare import prepare
from sweeps.study.study import load_study


def test_a_small_study_is_read_with_its_defaults(write_study: StudyWriter) -> None:
    study = load_study(str(write_study()))
    assert study.budgets_flops == (2_000_000_000, 4_000_000_000, 8_000_000_000)
    assert [strategy.name for strategy in study.models[0].strategies] == ["efin", "joint"]
    optimization = study.models[0].strategies[0].stages[0].optimization
    assert (optimization.batch_audio_seconds, optimization.warmup_steps, optimization.cooldown) == (5.0, 20, 0.2)
    assert (study.seeds, study.tracker, study.threads) == ((0,), "none", 1)


def test_set_replaces_any_field(write_study: StudyWriter) -> None:
    overrides = ["budgets_flops=[1e10, 2e10]", "models.0.lr_scale=0.5", "models.0.llm_lora.rank=4", "seeds=[3]"]
    study = load_study(str(write_study()), overrides)
    plain = load_study(str(write_study()))
    assert study.budgets_flops == (10**10, 2 * 10**10)
    assert study.seeds == (3,)
    assert study.models[0].spec.llm_lora.rank == 4
    for stage, usual in zip(study.models[0].strategies[0].stages, plain.models[0].strategies[0].stages, strict=True):
        assert [rate for _, rate in stage.trains] == [rate / 2 for _, rate in usual.trains]


def test_paths_start_at_the_file_and_those_of_set_at_the_current_folder(
    surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"train": "train.jsonl", "dev": "dev.jsonl", "test": {"clean": "test.jsonl"}}
    fields = {**study_fields(surroundings), "data": data, "models": [{"encoder": "encoder", "llm": "llm"}]}
    path = surroundings / "beside.yaml"
    path.write_text(json.dumps(fields))
    monkeypatch.chdir(tmp_path)
    write_manifest(tmp_path, "other", 5, seed=9)
    study = load_study(str(path), ["data.test.other=other.jsonl"])
    assert [(name, len(test)) for name, test in study.speech.tests] == [("clean", 8), ("other", 5)]


def test_a_strategy_may_be_written_out(write_study: StudyWriter) -> None:
    stages = [
        {"name": "warm", "objective": "llm", "trains": ["projector"], "flops": 1e9},
        {"name": "all", "objective": "llm", "trains": {"encoder": 1e-4, "projector": 1e-3}, "share": 0.5},
    ]
    study = load_study(str(write_study(strategies=[{"name": "mine", "stages": stages}])))
    warm, every = study.models[0].strategies[0].stages
    assert (warm.flops, warm.share, every.share) == (1_000_000_000, None, 0.5)
    assert every.trains == ((Part.ENCODER, 1e-4), (Part.PROJECTOR, 1e-3))


def test_a_shipped_study_is_found_by_name() -> None:
    with pytest.raises(InputError, match="'simulatd' is neither a YAML file nor shipped; did you mean 'simulated'"):
        load_study("simulatd")


def test_how_a_step_is_made_to_fit_enters_no_key(write_study: StudyWriter) -> None:
    thrifty = {"processes": 4, "shard": True, "gradient_accumulation": 8, "gradient_checkpointing": True}
    ways = ({}, thrifty | {"compile": True})
    plain, other = (prepare(str(write_study(**fields)), [], None) for fields in ways)
    assert [run.key for run in plain.plan.runs] == [run.key for run in other.plan.runs]
    assert plain.plan.nodes.keys() == other.plan.nodes.keys()
    assert other.study.execution == StepExecution(processes=4, shard=True, pieces=8, recompute=True)


def test_renaming_or_moving_the_data_changes_no_key(
    write_study: StudyWriter, surroundings: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(surroundings, moved)
    here = load_study(str(write_study()))
    there = load_study(str(write_study(**study_fields(moved))))
    assert here.speech.spec == there.speech.spec
    assert here.models[0].spec == there.models[0].spec


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"budgets": [1]}, r"study\.yaml:\d+: budgets: unknown field; did you mean 'budgets_flops'"),
    "unknown key in a model": (
        {"models": [{"encoder": "a", "llm": "b", "stacks": 2}]},
        r"models\.0\.stacks: unknown field; did you mean 'stack'",
    ),
    "unknown key in assumed lengths": (
        {"data": {"train": {"assumed": {"mean_second": 4.0}}, "dev": "d", "test": {"t": "t"}}},
        r"data\.train\.assumed\.mean_second: unknown field; did you mean 'mean_seconds'",
    ),
    "wrong strategy": (
        {"strategies": ["efni"]},
        r"strategies\.0: 'efni'; expected the name of a preset; did you mean 'efin'",
    ),
    "wrong preset": (
        {"strategies": [{"preset": "jiont"}]},
        r"strategies\.0\.preset: 'jiont'; expected the name of a preset; did you mean 'joint'",
    ),
    "wrong number of shares": (
        {"strategies": [{"preset": "efin", "name": "x", "shares": [0.5, 0.5]}]},
        r"strategies\.0: strategy 'x': shares has 2 values, efin has 3 stages",
    ),
    "shares that do not sum to 1": (
        {"strategies": [{"preset": "efin", "name": "x", "shares": [0.5, 0.5, 0.5]}]},
        r"sum to 1\.5",
    ),
    "a part the loss never reaches": (
        {"strategies": [{"name": "x", "stages": [{"name": "a", "objective": "asr", "trains": ["llm"], "share": 1}]}]},
        r"strategies\.0: strategy 'x': stage 'a': the asr loss never reaches llm; expected some of: encoder",
    ),
    "unknown part": (
        {
            "strategies": [
                {"name": "x", "stages": [{"name": "a", "objective": "asr", "trains": ["encodr"], "share": 1}]}
            ]
        },
        r"'encodr' is not one of them; did you mean 'encoder'",
    ),
    "neither share nor flops": (
        {"strategies": [{"name": "x", "stages": [{"name": "a", "objective": "asr", "trains": ["encoder"]}]}]},
        r"strategies\.0: strategy 'x': stage 'a': give either a share",
    ),
    "strategies alike in name": (
        {"strategies": ["efin", "efin"]},
        r"strategies\.1: 'efin'; expected a name of its own",
    ),
    "strategies alike but for the name": (
        {"strategies": ["efin", {"preset": "efin", "name": "mine"}]},
        r"strategies\.1: 'mine'; expected something that 'efin' is not",
    ),
    "a number as text": (
        {"budgets_flops": ["1e12"]},
        r"budgets_flops\.0: '1e12' is text; expected a number, written without quotes",
    ),
    "a number that is none": ({"budgets_flops": ["many"]}, r"budgets_flops\.0: 'many' is text; expected a number"),
    "budget of zero": ({"budgets_flops": [0]}, r"budgets_flops\.0: 0; expected greater than 0"),
    "budget twice": (
        {"budgets_flops": [10**10, 10**10]},
        r"budgets_flops: \[10000000000, 10000000000\]; expected each value once, not 1e\+10 2 times",
    ),
    "no piece": ({"gradient_accumulation": 0}, r"gradient_accumulation: 0; expected greater than or equal to 1"),
    "a word for no": ({"compile": "no"}, r"compile: 'no'; expected true or false"),
    "a word for yes": ({"gradient_checkpointing": "on"}, r"gradient_checkpointing: 'on'"),
    "no budget": ({"budgets_flops": []}, r"budgets_flops: \[\]; expected"),
    "half a seed": ({"seeds": [0.5]}, r"seeds\.0: 0\.5; expected a whole number"),
    "one budget without a list": ({"budgets_flops": 10**10}, r"budgets_flops: 10000000000; expected a list, such as"),
    "budgets left empty": ({"budgets_flops": None}, r"budgets_flops: empty; expected a list, such as"),
    "a model in a word": ({"models": ["mini-s"]}, r"models\.0: 'mini-s'; expected fields with values, such as"),
    "a unit in a budget": (
        {"budgets_flops": ["1 EFLOPs"]},
        r"budgets_flops\.0: '1 EFLOPs' is text; expected a number, such as",
    ),
    "wrong encoder": (
        {"models": [{"encoder": "whisper-tny", "llm": "Qwen2.5-0.5B"}]},
        r"models\.0\.encoder: encoder 'whisper-tny' is no shipped row.*did you mean 'whisper-tiny'",
    ),
    "wrong tracker": ({"tracker": "wandbb"}, r"tracker: 'wandbb' is not one of them; did you mean 'wandb'"),
    "wrong precision": ({"precision": "fp16"}, r"precision: 'fp16' is not one of them"),
    "prompt without speech": ({"prompt": "Write:"}, r"prompt: 'Write:'; expected text with \{speech\} once"),
    "wrong corpus": ({"data": {"corpus": "synthetic-cn", "hours": 1}}, r"data\.corpus: 'synthetic-cn' is no corpus"),
    "a speed twice": (
        {"augmentation": {"speeds": [1.0, 0.9, 0.9]}},
        r"augmentation\.speeds: \[1\.0, 0\.9, 0\.9\]; expected each value once, not 0\.9 2 times",
    ),
    "noise from the wrong end": (
        {"augmentation": {"noise_snr_db": [20, 5]}},
        r"augmentation\.noise_snr_db: \[20.*, 5.*\]; expected the lower end first",
    ),
    "masks for an encoder without bands": (
        {"models": [{"encoder": "wav2vec2-base", "llm": "Qwen2.5-0.5B"}], "augmentation": {"masks": 2}},
        r"augmentation\.masks: 2; expected 0 with wav2vec2-base, which reads no log-mel frames",
    ),
    "corpus without hours": ({"data": {"corpus": "synthetic-zh"}}, r"data\.hours: this field is required"),
    "missing manifests": (
        {"data": {"train": "x.jsonl"}},
        r"data\.dev: this field is required and missing \(and 1 more\)",
    ),
    "missing file": (
        {"data": {"train": "x.jsonl", "dev": "x.jsonl", "test": {"a": "x.jsonl"}}},
        r"data\.train: .*x\.jsonl: no such file or folder; expected a corpus",
    ),
    "LoRA on no layer": (
        {"models": [{"encoder": "whisper-tiny", "llm": "Qwen2.5-0.5B", "llm_lora": {"ranks": 4}}]},
        r"models\.0\.llm_lora\.ranks: unknown field; did you mean 'rank'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_refused_with_field_value_and_what_was_expected(case: str, write_study: StudyWriter) -> None:
    fields, message = BAD[case]
    with pytest.raises(InputError, match=message) as refused:
        load_study(str(write_study(**fields)))
    assert "\n" not in str(refused.value)


def test_a_budget_too_small_for_one_step_of_each_stage_is_refused(write_study: StudyWriter) -> None:
    from sweeps.plan.prepare import prepare

    with pytest.raises(InputError, match=r"budgets_flops: 1e\+06 leaves .* FLOPs to stage 'encoder' of efin on"):
        prepare(str(write_study(budgets_flops=[10**6, 10**10])), [], None)


def test_an_empty_manifest_is_refused(write_study: StudyWriter, surroundings: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"data\.dev: .*empty\.jsonl: the manifest is empty"):
        load_study(str(write_study()), [f"data.dev={tmp_path / 'empty.jsonl'}"])


@pytest.mark.parametrize("leak", ["the same file", "a copy under another name"])
def test_test_audio_that_is_trained_on_is_refused(leak: str, write_study: StudyWriter, surroundings: Path) -> None:
    rows = [json.loads(line) for line in (surroundings / "train.jsonl").read_text().splitlines()]
    audio = rows[3]["audio_filepath"]
    if leak == "a copy under another name":
        shutil.copy(surroundings / audio, surroundings / "copy.wav")
        audio = "copy.wav"
    leaky = surroundings / f"leaky-{len(leak)}.jsonl"
    leaky.write_text(json.dumps({**rows[3], "audio_filepath": audio}) + "\n")
    with pytest.raises(InputError, match=r"data\.test\.clean: 1 of 1 utterances are in the training data too"):
        load_study(str(write_study()), [f"data.test.clean={leaky}"])


def test_the_same_text_said_again_is_no_leak(write_study: StudyWriter, surroundings: Path) -> None:
    row = json.loads((surroundings / "train.jsonl").read_text().splitlines()[0])
    samples, rate = soundfile.read(surroundings / row["audio_filepath"])
    soundfile.write(surroundings / "again.wav", 0.5 * samples, rate)
    fresh = surroundings / "fresh.jsonl"
    fresh.write_text(json.dumps({**row, "audio_filepath": "again.wav"}) + "\n")
    assert len(load_study(str(write_study()), [f"data.test.clean={fresh}"]).speech.tests[0][1]) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budgets_flops", "expected KEY=VALUE"),
        ("models.7.llm=x", "models has 1 entries; expected a position from 0, not '7'"),
        ("name.first=x", "name is 'small', which has no field 'first'"),
        ("sedes=[1]", "sedes: unknown field; did you mean 'seeds'"),
        ("seeds=[1", "--set seeds=\\[1:1: not valid YAML"),
    ],
)
def test_a_wrong_override_is_refused(override: str, message: str, write_study: StudyWriter) -> None:
    with pytest.raises(InputError, match=message):
        load_study(str(write_study()), [override])


def test_a_study_file_that_is_not_there_is_told_with_the_nearest_that_is(tmp_path):
    (tmp_path / "study.yaml").write_text("name: one")
    with pytest.raises(InputError, match=r"studdy\.yaml: no such file; did you mean '.*/study\.yaml'\?$"):
        load_study(str(tmp_path / "studdy.yaml"))
