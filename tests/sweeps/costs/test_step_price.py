import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
from typer.testing import CliRunner

from scaling.base_models.encoders import ENCODERS
from scaling.cost.hardware import HARDWARE, find_hardware, hardware_of
from scaling.cost.training_time import device_speed
from scaling.errors import InputError
from scaling.strategies.presets import PRESETS
from sweeps.cli import app
from sweeps.costs.step_price import PricedStep, price_step, step_price_text
from sweeps.costs.tariff import Purchase

ROOT = Path(__file__).parents[3]
PAIR = {"encoder": "whisper-small", "llm": "Qwen2.5-0.5B"}
STEP = PricedStep(**PAIR, strategy="efin", audio_seconds=5, text_tokens=20, batch=4)

WHISPER_SMALL = {
    "model_type": "whisper", "num_mel_bins": 80, "d_model": 768, "vocab_size": 51_865, "encoder_layers": 12,
    "encoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_layers": 12, "decoder_attention_heads": 12,
    "decoder_ffn_dim": 3072, "max_source_positions": 1500, "max_target_positions": 448,
}  # fmt: skip
QWEN_HALF_B = {
    "model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151_936, "tie_word_embeddings": True,
}  # fmt: skip


def test_lengths_say_how_many_positions_each_module_works_on():
    lengths = price_step(STEP)["lengths"]
    assert lengths == {
        "audio_seconds": 5, "samples": 80_000, "mel_frames": 500, "encoder_frames": 250, "encoder_pairs": 62_500,
        "speech_tokens": 63,
        "prompt_tokens": 0, "text_tokens": 20, "llm_positions": 83, "decoder_prompt_tokens": 0, "decoder_positions": 20,
    }  # fmt: skip


def test_an_outsider_can_count_the_projector_stage_again_from_the_document():
    document = price_step(STEP)
    stage = next(stage for stage in document["stages"] if stage["name"] == "projector")
    lengths, encoder, llm, projector = (document[key] for key in ("lengths", "encoder", "llm", "projector"))
    batch = document["batch"]

    frames, positions, d = lengths["encoder_frames"], lengths["llm_positions"], encoder["width"]
    convolutions = lengths["mel_frames"] * 3 * encoder["mel_bins"] * d + frames * 3 * d * d
    layer = frames * (4 * d * d + 2 * d * encoder["ffn"]) + 2 * frames**2 * d
    assert stage["parts"]["encoder"] == {
        "forward": 2 * batch * (convolutions + encoder["layers"] * layer), "input_grad": 0, "weight_grad": 0,
        "total": 2 * batch * (convolutions + encoder["layers"] * layer),
    }  # fmt: skip

    first, second = projector["input_width"] * projector["hidden"], projector["hidden"] * projector["output_width"]
    tokens = 2 * batch * lengths["speech_tokens"]
    assert stage["parts"]["projector"]["forward"] == stage["parts"]["projector"]["weight_grad"]
    assert stage["parts"]["projector"]["forward"] == tokens * (first + second)
    assert stage["parts"]["projector"]["input_grad"] == tokens * second

    width, heads = llm["width"], llm["heads"] * llm["head_dim"]
    weights = 2 * width * heads + 2 * width * llm["kv_heads"] * llm["head_dim"] + 3 * width * llm["ffn"]
    linear = positions * weights * llm["layers"] + lengths["text_tokens"] * width * llm["vocabulary"]
    pairs = 2 * positions**2 * heads * llm["layers"]
    assert stage["parts"]["llm"]["forward"] == 2 * batch * (linear + pairs)
    assert stage["parts"]["llm"]["input_grad"] == 2 * batch * (linear + 2 * pairs)


@pytest.mark.parametrize("strategy", PRESETS)
def test_totals_are_the_sums_of_their_parts_in_every_preset(strategy):
    document = price_step(PricedStep(**PAIR, strategy=strategy, audio_seconds=5, text_tokens=20))
    assert [stage["name"] for stage in document["stages"]] == [stage.name for stage in PRESETS[strategy].stages]
    for stage in document["stages"]:
        kinds = list(stage["parts"].values())
        assert all(c["total"] == c["forward"] + c["input_grad"] + c["weight_grad"] for c in kinds)
        assert stage["total"] == sum(cost["total"] for cost in kinds)


def test_six_nd_stands_beside_the_exact_figure_with_its_error():
    stage = price_step(STEP)["stages"][0]
    rule = stage["six_nd"]
    encoder = ENCODERS["whisper-small"]
    assert rule["flops"] == 6 * (encoder.encoder_params + encoder.asr_decoder_params) * 4 * 20
    assert rule["relative_error"] == pytest.approx(rule["flops"] / stage["total"] - 1)
    assert rule["relative_error"] < -0.5


def test_doubling_the_batch_doubles_every_figure():
    one, two = (
        price_step(STEP),
        price_step(PricedStep(**PAIR, strategy="efin", audio_seconds=5, text_tokens=20, batch=8)),
    )
    for before, after in zip(one["stages"], two["stages"], strict=True):
        assert after["total"] == 2 * before["total"]
        assert after["flops_per_audio_second"] == before["flops_per_audio_second"]


def test_a_budget_becomes_steps_hours_of_audio_device_hours_and_money():
    device = HARDWARE["a100-80g"]
    purchase = Purchase(hardware=device, mfu=0.5, usd_per_hour=2.0)
    document = price_step(STEP, budget_flops=1e18, purchase=purchase)
    budget = document["budget"]
    assert sum(stage["flops"] for stage in budget["stages"]) == pytest.approx(1e18)
    assert budget["stages"][0]["steps"] == pytest.approx(0.35e18 / document["stages"][0]["total"])
    assert budget["stages"][0]["audio_hours"] == pytest.approx(budget["stages"][0]["steps"] * 4 * 5 / 3600)
    assert budget["device_hours"] == pytest.approx(1e18 / (312e12 * 0.5) / 3600)
    assert budget["usd"] == pytest.approx(2 * budget["device_hours"])
    assert (document["hardware"]["mfu_source"], document["hardware"]["usd_source"]) == ("given", "given")
    assert price_step(STEP, purchase=Purchase(hardware=device))["hardware"]["mfu_source"] == "assumption"
    assert "MFU 0.5 (given)" in step_price_text(document)


def test_a_step_takes_a_time_beside_its_products_unless_an_mfu_holds_it_all():
    for device, expected in ((HARDWARE["cpu-core"], "sum"), (HARDWARE["h100-sxm"], "longer")):
        document = price_step(STEP, budget_flops=1e16, purchase=Purchase(hardware=device))
        for stage in document["stages"]:
            products = stage["total"] / (device.peak_flops * device.mfu)
            assert stage["device_seconds"] == pytest.approx(
                products + 0.026 if expected == "sum" else max(products, 0.026)
            )
        shares = zip(document["budget"]["stages"], document["stages"], strict=True)
        hours = sum(share["steps"] * stage["device_seconds"] for share, stage in shares) / 3600
        assert document["budget"]["device_hours"] == pytest.approx(hours)
    assert "or 26 ms a step, whichever is longer" in step_price_text(document)


def test_a_device_is_known_as_trainers_call_it():
    called = {"x86_64": "cpu-core", "NVIDIA H100 80GB HBM3": "h100-sxm", "NVIDIA GeForce RTX 4090": "rtx4090"}
    for name, row in called.items():
        assert hardware_of(name) == HARDWARE[row]
    assert hardware_of("TPU v5e") is None


def test_a_device_is_known_by_the_beginning_of_its_name():
    assert find_hardware("cpu").name == "cpu-core"
    assert find_hardware("h100").name == "h100-sxm"


def test_every_device_says_where_its_peak_and_mfu_come_from():
    for device in HARDWARE.values():
        assert device.peak_source
        assert device.mfu_source == "assumption" or device.mfu_source.startswith("measured")
        assert device_speed(device).seconds(device.peak_flops * device.mfu * 7200, 0) == pytest.approx(7200)


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, ["flops", *arguments, "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_command_prices_config_files_and_directories_like_the_rows_they_repeat(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(WHISPER_SMALL))
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "config.json").write_text(json.dumps(QWEN_HALF_B))
    arguments = ("--strategy", "efin", "--audio-seconds", "5", "--text-tokens", "20", "--batch", "4")
    by_path = run("--encoder", str(tmp_path / "config.json"), "--llm", str(tmp_path / "llm"), *arguments)
    by_name = run("--encoder", "whisper-small", "--llm", "Qwen/Qwen2.5-0.5B", *arguments)
    assert by_path["stages"] == by_name["stages"] == json.loads(json.dumps(price_step(STEP)["stages"]))


def test_flags_reach_the_geometry():
    document = run(
        "--encoder", "whisper-tiny", "--llm", "SmolLM2-135M", "--stack", "5", "--projector-hidden", "100",
        "--lora-rank", "4", "--lora-targets", "q_proj,v_proj", "--prompt-tokens", "7", "--decoder-prompt-tokens", "3",
    )  # fmt: skip
    assert document["projector"] == {
        "stack": 5, "input_width": 5 * 384, "hidden": 100, "output_width": 576, "params": 1921 * 100 + 101 * 576,
    }  # fmt: skip
    assert document["lora"] == {"rank": 4, "alpha": 16.0, "targets": ["q_proj", "v_proj"]}
    assert document["lengths"]["llm_positions"] == 50 + 7 + 20
    assert document["lengths"]["decoder_positions"] == 23
    lora = document["stages"][-1]["parts"]["llm_lora"]
    assert lora["forward"] == 2 * 77 * 30 * (4 * (576 + 576) + 4 * (576 + 192))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoder", "whisper-smal"), "encoder 'whisper-smal' .*did you mean 'whisper-small'"),
        (("--llm", "Qwen2.5-05B"), "did you mean 'Qwen2.5-0.5B'"),
        (("--strategy", "efni"), "did you mean 'efin'"),
        (("--audio-seconds", "31"), "whisper-small hears at most 30 s"),
        (("--audio-seconds", "0"), "less than one frame"),
        (("--text-tokens", "0"), "--text-tokens must be 1 or more"),
        (("--text-tokens", "500"), "--text-tokens 500: whisper-small writes at most 448"),
        (("--prompt-tokens", "40000"), "--prompt-tokens 40000: prompt, .* positions of Qwen2.5-0.5B, which has "),
        (
            ("--decoder-prompt-tokens", "440"),
            "--decoder-prompt-tokens 440: whisper-small writes at most 8",
        ),
        (("--batch", "0"), "--batch must be 1 or more"),
        (("--stack", "0"), "--stack must be 1 or more"),
        (("--prompt-tokens", "-1"), "--prompt-tokens must be 0 or more"),
        (("--lora-targets", "q"), "LoRA target 'q' names no linear layer"),
        (("--hardware", "a100-40g"), "hardware 'a100-40g' is not known; did you mean 'a100-80g'"),
        (("--hardware", "h"), "hardware 'h' is not known"),
        (("--hardware", "cpu", "--mfu", "40"), r"--mfu must lie in \(0, 1\], not 40"),
        (("--mfu", "0.4"), "give --hardware"),
        (("--budget", "-1"), "--budget must be FLOPs above 0"),
    ],
)
def test_wrong_input_is_refused_by_name(arguments, message):
    given = {"--encoder": "whisper-small", "--llm": "Qwen2.5-0.5B"} | dict(
        zip(arguments[::2], arguments[1::2], strict=True)
    )
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(app, ["flops", *(text for pair in given.items() for text in pair)], catch_exceptions=False)


def test_the_whole_process_loads_no_torch_and_refuses_with_exit_code_2():
    code = (
        "import sys\nfrom scaling.cli import main\nsys.argv = ['asr-scaling', 'flops', '--llm', 'Qwen2.5-0.5B',"
        " '--encoder', sys.argv[1]]\ntry:\n    main()\nfinally:\n"
        "    assert not {'torch', 'transformers', 'pandas', 'scipy'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    good, bad = (
        subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, env=environment, check=False)
        for name in ("whisper-small", "whisper-smal")
    )
    assert good.returncode == 0, good.stderr
    assert "6ND" in good.stdout
    assert bad.returncode == 2
    assert bad.stderr.startswith("error: encoder 'whisper-smal'")
    assert bad.stderr.count("\n") == 1
