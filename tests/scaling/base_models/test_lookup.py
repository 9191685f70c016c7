import json
import os
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
from encoder_reference import asr_module, decoder_of, encoder_config, encoder_of, whisper_config
from flop_reference import llm_config, llm_module, write_llm_config
from transformers import (
    AutoConfig,
    FalconMambaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3NextConfig,
)

from scaling.base_models.encoders import ENCODERS, encoder_dims
from scaling.base_models.llm_families import FAMILIES
from scaling.base_models.llms import LLMS, LlmDims, llm_dims
from scaling.base_models.lookup import MINIS, find_encoder, find_llm
from scaling.errors import InputError

PUBLISHED = {
    "whisper-tiny": 37_760_640,
    "whisper-base": 72_593_920,
    "whisper-small": 241_734_912,
    "whisper-medium": 763_857_920,
    "whisper-large-v2": 1_543_304_960,
    "whisper-large-v3": 1_543_490_560,
    "whisper-large-v3-turbo": 808_878_080,
    "wav2vec2-base-960h": 94_396_320 - 768,  # without the mask embedding
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-1.5B": 1_543_714_304,
    "Qwen2.5-3B": 3_085_938_688,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen3-0.6B": 596_049_920,
    "Qwen3-1.7B": 1_720_574_976,
    "Qwen3-4B": 4_022_468_096,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.2-3B": 3_212_749_824,
    "SmolLM2-135M": 134_515_008,
}
"""Parameters of the published checkpoints, a tied head counted once."""

OMNILINGUAL = {"300m": 325_494_996, "1b": 975_065_300, "3b": 3_080_423_636, "7b": 6_504_786_132}
"""Parameters that the README of omnilingual-asr states, of models with 9812 tokens. Their positional convolution has
128 norms of its own, which transformers multiplies in."""

MINI_LLM = replace(LLMS["Qwen2.5-0.5B"], width=32, layers=2, heads=4, kv_heads=2, head_dim=8, ffn=64, vocabulary=40)


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_have_the_parameters_of_the_published_checkpoints(name):
    row = ENCODERS.get(name) or LLMS[name]
    params = row.params if isinstance(row, LlmDims) else row.encoder_params + row.asr_decoder_params
    assert params == PUBLISHED[name]


@pytest.mark.parametrize("kind", ["glmasr", "qwen2_audio"])
def test_an_audio_tower_whose_products_are_not_known_is_refused_with_the_reason(kind, tmp_path):
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"'{kind}' has an audio encoder that was trained behind an LLM and has no"):
        encoder_dims(tmp_path / "config.json")


def test_a_release_beside_a_row_is_given_no_more_positions_than_such_releases_have():
    rows_and_releases = {"Qwen2.5-1.5B-Instruct": 32_768, "Qwen3-0.6B-Base": 32_768, "SmolLM2-135M-Instruct": 8192}
    assert {name: find_llm(name).dims.context for name in rows_and_releases} == rows_and_releases
    assert find_llm("Qwen2.5-1.5B").dims.context == 131_072


@pytest.mark.parametrize("size", OMNILINGUAL)
def test_the_ladder_of_omnilingual_asr_has_the_parameters_that_its_authors_state(size):
    row = replace(ENCODERS[f"omniasr-ctc-{size}-v2"], vocabulary=9812)
    assert row.encoder_params + row.asr_decoder_params == OMNILINGUAL[size] - 128


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_rows_have_the_parameters_of_their_modules(name):
    module, row = asr_module(ENCODERS[name], "meta"), ENCODERS[name]
    assert row.encoder_params == sum(p.numel() for p in encoder_of(module).parameters())
    if row.objective is None:
        assert row.asr_decoder_params == 0
    else:
        assert row.asr_decoder_params == sum(p.numel() for p in decoder_of(module).parameters())


@pytest.mark.parametrize("name", LLMS)
def test_llm_rows_have_the_parameters_of_their_modules(name):
    assert LLMS[name].params == sum(p.numel() for p in llm_module(LLMS[name], "meta").parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_read_from_its_config_json_is_the_row(name, tmp_path):
    row = ENCODERS[name]
    encoder_config(row).save_pretrained(tmp_path)
    assert encoder_dims(tmp_path / "config.json") == row


@pytest.mark.parametrize("name", LLMS)
def test_an_llm_read_from_its_config_json_is_the_row(name, tmp_path):
    llm_config(LLMS[name]).save_pretrained(tmp_path)
    assert llm_dims(tmp_path / "config.json") == LLMS[name]


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=1, attention_bias=True, mlp_bias=True, head_dim=12, pad_token_id=0),
        MistralConfig(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                      num_key_value_heads=2, pad_token_id=0),
        Qwen2Config(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=4, tie_word_embeddings=False, pad_token_id=0),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_any_config_of_a_supported_type_gives_the_parameters_of_its_module(config, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    assert llm_dims(tmp_path / "config.json").params == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("changes", [{}, {"head_dim": 12}, {"attention_bias": True, "mlp_bias": True}], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_llms_has_the_parameters_of_its_module(family, changes, tmp_path):
    for tied in (True, False):
        dims = llm_dims(write_llm_config(family, tmp_path, tie_word_embeddings=tied, **changes))
        assert dims.params == sum(p.numel() for p in llm_module(dims, "meta").parameters())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Qwen2MoeConfig(), "qwen2_moe' is not supported, it has a mixture of experts with shared experts"),
        (
            FalconMambaConfig(),
            "falcon_mamba' is not supported, it has state space layers; expected a decoder",
        ),
        (Qwen3NextConfig(), "qwen3_next' is not supported, it has linear attention; .* such as Qwen/Qwen3-1.7B"),
        (GPT2Config(), "gpt2' is not supported, its matrix products are not known here"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_llms_with_other_products_are_refused_with_what_they_have(config, words, tmp_path):
    config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=words):
        llm_dims(tmp_path / "config.json")


def test_a_model_of_several_modalities_is_never_sent_in_a_circle(tmp_path):
    inner = {"model_type": "qwen3_5_text", "linear_num_key_heads": 16, "layer_types": ["linear_attention"]}
    for config in ({"model_type": "qwen3_5", "text_config": inner}, inner):
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError, match=r"it has linear attention; expected a decoder .* such as Qwen/Qwen3-1.7B"):
            llm_dims(tmp_path / "config.json")
    (tmp_path / "config.json").write_text('{"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}')
    with pytest.raises(InputError, match="expected its language model alone, a directory of model_type 'gemma3_text'"):
        llm_dims(tmp_path / "config.json")


SIZES = {
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "vocab_size": "vocabulary",
    "max_position_embeddings": "context",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_config_leaves_out_is_filled_in_as_transformers_does(family, tmp_path):
    written = json.loads(write_llm_config(family, tmp_path, num_attention_heads=32, hidden_size=512).read_text())
    derived = ("rope_parameters", "layer_types", "no_rope_layers")
    for absent in (*SIZES, "head_dim", "intermediate_size", "tie_word_embeddings"):
        given = {name: value for name, value in written.items() if name not in (absent, *derived)}
        (tmp_path / "config.json").write_text(json.dumps(given))
        theirs = AutoConfig.from_pretrained(tmp_path)
        ours = llm_dims(tmp_path / "config.json")
        assert {name: getattr(ours, field) for name, field in SIZES.items()} == {n: getattr(theirs, n) for n in SIZES}
        assert ours.head_dim == (getattr(theirs, "head_dim", None) or theirs.hidden_size // theirs.num_attention_heads)
        assert ours.tied == theirs.tie_word_embeddings
        assert ours.ffn == (theirs.moe_intermediate_size if family == "qwen3_moe" else theirs.intermediate_size)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            "llama",
            {"num_attention_heads": 7, "num_key_value_heads": 7},
            "hidden_size is 32; expected a multiple of .*, 7",
        ),
        ("qwen2", {"num_key_value_heads": 3}, "num_key_value_heads is 3; expected a divisor of num_attention_heads, 4"),
        ("mistral", {"num_key_value_heads": None}, "num_key_value_heads must be a whole number"),
        ("gemma2", {"head_dim": None}, "head_dim must be a whole number"),
        ("qwen2", {"hidden_size": 36}, "head_dim is 9; expected an even number"),
        ("qwen3_moe", {"num_experts_per_tok": 7}, "num_experts_per_tok is 7; expected at most 6 experts"),
        ("qwen3_moe", {"decoder_sparse_step": 2}, "decoder_sparse_step is 2, expected 1"),
        ("qwen3_moe", {"mlp_only_layers": [0]}, r"mlp_only_layers is \[0\], expected \[\]"),
    ],
)
def test_sizes_that_transformers_refuses_are_refused(family, changes, message, tmp_path):
    path = write_llm_config(family, tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match=message):
        llm_dims(path)


NULLABLE = {
    "num_key_value_heads": {name for name, family in FAMILIES.items() if family.null_kv_heads},
    "head_dim": {"llama", "mistral"},
}
"""Settings that transformers fills in where they are null, by family; it refuses any other size that is null."""


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_that_are_null_are_read_as_transformers_reads_them(family, tmp_path):
    values = json.loads(write_llm_config(family, tmp_path).read_text())
    names = {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size", *NULLABLE}
    names |= {"num_experts", "num_local_experts", "moe_intermediate_size", "num_experts_per_tok"} & values.keys()
    if family == "qwen3_moe":
        names.remove("intermediate_size")  # no layer has it
    for name in names:
        (tmp_path / "config.json").write_text(json.dumps({**values, name: None}))
        if family in NULLABLE.get(name, ()):
            assert llm_dims(tmp_path / "config.json").width == values["hidden_size"]
        else:
            with pytest.raises(InputError, match=f"{name} must be a whole number"):
                llm_dims(tmp_path / "config.json")


@pytest.mark.parametrize("wrong", [None, "false", 0])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_neither_true_nor_false_is_refused_as_transformers_refuses_it(family, wrong, tmp_path):
    values = json.loads(write_llm_config(family, tmp_path).read_text())
    names = ["tie_word_embeddings"]
    names += ["attention_bias"] if FAMILIES[family].may_bias else []
    names += ["mlp_bias"] if FAMILIES[family].may_bias_mlp else []
    for name in names:
        (tmp_path / "config.json").write_text(json.dumps({**values, name: wrong}))
        with pytest.raises(InputError, match=f"{name} must be true or false, not {wrong!r}"):
            llm_dims(tmp_path / "config.json")
        with pytest.raises(Exception, match=name):
            AutoConfig.from_pretrained(tmp_path, local_files_only=True)


def test_a_default_that_does_not_fit_is_said_to_be_one(tmp_path):
    path = write_llm_config("mistral", tmp_path)
    values = json.loads(path.read_text())
    del values["num_key_value_heads"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"num_key_value_heads is 8 \(transformers' default for mistral\); expected"):
        llm_dims(path)


@pytest.fixture
def no_hub(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path / "cache"))
    return tmp_path


def save(directory: Path, dims: LlmDims = MINI_LLM, weights: bytes | None = b"weights") -> Path:
    llm_config(dims).save_pretrained(directory)
    if weights is not None:
        (directory / "model.safetensors").write_bytes(weights)
    return directory


def test_a_shipped_row_is_found_by_name_and_by_hub_id_without_weights(no_hub):
    by_name, by_id = find_llm("Qwen2.5-0.5B"), find_llm("Qwen/Qwen2.5-0.5B")
    assert by_name == by_id
    assert by_name.directory is None
    assert by_name.hub_id == "Qwen/Qwen2.5-0.5B"
    assert by_name.digest == find_llm("Qwen2.5-0.5B").digest != find_llm("Qwen2.5-1.5B").digest


def test_a_directory_is_found_relative_to_the_base_and_its_config_alone_is_enough_to_price(no_hub):
    save(no_hub / "models" / "own")
    found = find_llm("models/own", base=no_hub)
    assert (found.name, found.dims, found.directory) == ("own", MINI_LLM, no_hub / "models" / "own")
    config_only = save(no_hub / "config_only", weights=None)
    assert find_llm(str(config_only / "config.json")).dims == MINI_LLM
    assert find_llm(str(config_only)).directory is None


def test_the_digest_follows_the_content_and_not_the_place(no_hub):
    first, moved = find_llm(str(save(no_hub / "a"))), find_llm(str(save(no_hub / "b")))
    assert first.digest == moved.digest
    assert find_llm(str(save(no_hub / "c", weights=b"others"))).digest != first.digest
    (no_hub / "a" / "tokenizer.json").write_text("{}")
    assert find_llm(str(no_hub / "a")).digest not in (first.digest, moved.digest)


def test_weights_changed_in_place_change_the_digest(no_hub):
    directory = save(no_hub / "a")
    before = find_llm(str(directory)).digest
    (directory / "model.safetensors").write_bytes(b"WEIGHTS")
    os.utime(directory / "model.safetensors", ns=(1, 1))
    assert find_llm(str(directory)).digest != before


def test_a_model_in_the_local_hugging_face_cache_is_found_with_its_weights(no_hub):
    for hub_id in ("Qwen/Qwen2.5-0.5B", "someone/tuned"):
        folder = no_hub / "hub" / f"models--{hub_id.replace('/', '--')}"
        save(folder / "snapshots" / "abc")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
    assert find_llm("Qwen2.5-0.5B").directory is not None
    tuned = find_llm("someone/tuned")
    assert (tuned.name, tuned.hub_id, tuned.dims) == ("tuned", "someone/tuned", MINI_LLM)


def test_a_pinned_revision_is_found_by_branch_tag_or_commit_and_is_another_model(no_hub):
    for hub_id in ("Qwen/Qwen2.5-0.5B", "someone/tuned"):
        folder = no_hub / "hub" / f"models--{hub_id.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        for revision, commit in (("main", "abc"), ("v1", "def")):
            save(folder / "snapshots" / commit, weights=commit.encode())
            (folder / "refs" / revision).write_text(commit)
    for name in ("Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", "someone/tuned"):
        latest, pinned, tagged = find_llm(name), find_llm(f"{name}@def"), find_llm(f"{name}@v1")
        assert pinned.digest == tagged.digest != latest.digest == find_llm(f"{name}@abc").digest
        assert pinned.directory == tagged.directory == latest.directory.parent / "def"
        assert pinned.name == f"{name.rpartition('/')[2]}@def"


def test_a_revision_that_is_not_on_this_machine_says_how_to_get_it(no_hub):
    message = r"'Qwen2.5-0.5B@1a2b': no such revision .*`hf download Qwen/Qwen2.5-0.5B --revision 1a2b` gets it"
    with pytest.raises(InputError, match=message):
        find_llm("Qwen2.5-0.5B@1a2b")
    directory = save(no_hub / "mine@home")
    assert find_llm("mine@home", no_hub).directory == directory


def test_a_hub_model_that_is_not_on_this_machine_says_how_to_get_it(no_hub):
    with pytest.raises(InputError, match=r"`hf download Qwen/Qwen9-1B` gets a hub model"):
        find_llm("Qwen/Qwen9-1B")
    (no_hub / "hub").mkdir()
    for absent in ("Qwen/Qwen9-1B", "no--such/name..of-a-model"):
        with pytest.raises(InputError, match=f"`hf download {absent}` gets a hub model"):
            find_llm(absent)


def test_the_hop_length_is_the_feature_extractors(no_hub):
    whisper_config(ENCODERS["whisper-tiny"]).save_pretrained(no_hub)
    (no_hub / "preprocessor_config.json").write_text(json.dumps({"hop_length": 320}))
    assert encoder_dims(no_hub / "config.json").frames_per_second == 25
    (no_hub / "preprocessor_config.json").unlink()
    (no_hub / "processor_config.json").write_text(json.dumps({"feature_extractor": {"hop_length": 240}}))
    assert encoder_dims(no_hub / "config.json").hop_length == 240


def test_every_committed_mini_is_found_with_weights(no_hub):
    for kind, find in (("encoders", find_encoder), ("llms", find_llm)):
        for directory in sorted((MINIS / kind).glob("*/")):
            assert find(directory.name).directory == directory.resolve()


def test_wrong_names_and_files_are_refused_by_name(no_hub):
    with pytest.raises(InputError, match="did you mean 'whisper-tiny'"):
        find_encoder("whisper-tny", no_hub)
    (no_hub / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no config\.json"):
        find_llm("empty", no_hub)
    (no_hub / "config.json").write_text('{"model_type": "qwen4"}')
    with pytest.raises(InputError, match=r"model_type 'qwen4' is not supported.*did you mean 'qwen"):
        find_llm("config.json", no_hub)
    with pytest.raises(InputError, match="an encoder must be of a family whose products are known"):
        find_encoder("config.json", no_hub)
    (no_hub / "config.json").write_text('{"model_type": "llama", "hidden_size": "wide"}')
    with pytest.raises(InputError, match="hidden_size must be a whole number from 1 to 10000000, not 'wide'"):
        find_llm("config.json", no_hub)
    (no_hub / "config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        find_llm("config.json", no_hub)


@pytest.mark.parametrize(
    ("written", "row"),
    [
        ("Whisper-Small", "whisper-small"),
        ("openai/Whisper-Small", "whisper-small"),
        ("whisper_large_v3", "whisper-large-v3"),
        ("Whisper Tiny", "whisper-tiny"),
    ],
)
def test_encoders_are_found_as_people_write_them(no_hub, written, row):
    assert find_encoder(written) == find_encoder(row)


@pytest.mark.parametrize(
    ("written", "row", "name"),
    [
        ("qwen2.5-0.5b", "Qwen2.5-0.5B", "Qwen2.5-0.5B"),
        ("qwen/qwen2.5-0.5B", "Qwen2.5-0.5B", "Qwen2.5-0.5B"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen2.5-0.5B", "Qwen2.5-0.5B-Instruct"),
        ("llama-3.2-1b-instruct", "Llama-3.2-1B", "Llama-3.2-1B-Instruct"),
        ("Qwen/Qwen3-0.6B-Base", "Qwen3-0.6B", "Qwen3-0.6B-Base"),
    ],
)
def test_llms_are_found_as_people_write_them(no_hub, written, row, name):
    found = find_llm(written)
    assert found.name == name
    assert replace(found.dims, name=row) == LLMS[row]
    assert (found.digest == find_llm(row).digest) == (name == row)


def test_the_weights_of_an_instructed_release_are_its_own(no_hub):
    folder = no_hub / "hub" / "models--Qwen--Qwen2.5-0.5B-Instruct"
    save(folder / "snapshots" / "abc")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for written in ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b-instruct"):
        assert find_llm(written).directory == folder / "snapshots" / "abc"
    assert find_llm("Qwen2.5-0.5B").directory is None


@pytest.mark.parametrize("written", ["someone/whisper-small", "whisper-smal", "Qwen2.5-0.5B-Instruct-GPTQ"])
def test_what_may_be_another_model_is_not_guessed(no_hub, written):
    with pytest.raises(InputError, match=r"is no shipped row"):
        (find_encoder if "whisper" in written else find_llm)(written)
