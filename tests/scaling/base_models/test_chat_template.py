"""Chat prompts: what an LLM's own template says around the speech, and the token that ends its answer."""

import json
import os
from pathlib import Path

import pytest
import tokenizers
from tiny_world import train_study, write_study

from scaling.base_models.chat_template import conversation, is_chat, message
from scaling.base_models.tokenizers import llm_codec
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.system.yaml_file import read_yaml, to_yaml
from sweeps.study.study import load_study

SPECIALS = ["<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>", "<|eot|>", "<bos>", "<turn>", "</turn>"]

CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
"""As Qwen and SmolLM write, in miniature; likewise Llama 3 and Gemma below."""

HEADERS = """\
{{- bos_token }}
{%- if strftime_now is defined %}{{- strftime_now("%d %b %Y") }}{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '<|im_end|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}"""

TURNS = """\
{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('roles must alternate') }}
{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<turn>' + role + '\\n' + message['content'] | trim + '</turn>\\n' }}{% endfor %}"""


def write_llm(folder: Path, template: str | None, in_file: bool = True) -> Path:
    """A directory of bytes and special tokens, with a chat template in a file of its own or in the tokenizer's."""
    symbols = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({symbol: n for n, symbol in enumerate(symbols)}, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"vocab_size": 300, "bos_token_id": 256, "eos_token_id": 257}))
    settings = {"bos_token": {"content": "<bos>"}, "eos_token": "<|end|>"}
    if template is not None and in_file:
        (folder / "chat_template.jinja").write_text(template)
    elif template is not None:
        settings["chat_template"] = [{"name": "tool_use", "template": ""}, {"name": "default", "template": template}]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("in_file", [True, False], ids=["chat_template.jinja", "tokenizer_config.json"])
@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        (CHATML, "<|im_start|>user\nHear: {speech}<|im_end|>\n<|im_start|>assistant\n{text}<|im_end|>"),
        (HEADERS, "<bos><|im_start|>user<|im_end|>\n\nHear: {speech}<|eot|>"
                  "<|im_start|>assistant<|im_end|>\n\n{text}<|eot|>"),
        (TURNS, "<bos><turn>user\nHear: {speech}</turn>\n<turn>model\n{text}</turn>"),
    ],
    ids=["chatml", "headers", "turns"],
)  # fmt: skip
def test_a_template_gives_the_whole_conversation_up_to_the_end_of_the_answer(tmp_path, template, rendered, in_file):
    llm = write_llm(tmp_path, template, in_file)
    assert conversation(llm, "Hear: {speech}") == rendered
    codec = llm_codec(llm, rendered)
    assert codec.tokenizer.decode(codec.before, skip_special_tokens=False) == rendered.partition("{speech}")[0]
    between = rendered.partition("{speech}")[2].partition("{text}")[0]
    assert codec.tokenizer.decode(codec.prefix, skip_special_tokens=False) == between
    assert codec.tokenizer.id_to_token(codec.end) == rendered.partition("{text}")[2]
    assert codec.targets("ab")[-1] == codec.end
    assert codec.decode(codec.targets("ab")) == "ab"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "has no chat template"),
        ("{% for message in messages %}", "cannot be rendered"),
        ("{{ raise_exception('only tools') }}", r"cannot be rendered \(only tools\)"),
        ("{{ messages[0].content.__class__.__mro__ }}", "cannot be rendered .*unsafe"),
        ("{{ messages[1].content }}<|end|>", "once each, unchanged"),
        ("{{ messages[0].content | upper }}{{ messages[1].content }}<|end|>", "once each, unchanged"),
        ("{{ messages[0].content }}{{ messages[1].content }} bye", "expected a special token that ends the answer"),
        ("{{ messages[0].content }}{{ messages[1].content }}", "expected a special token that ends the answer"),
    ],
)
def test_templates_that_cannot_serve_are_refused_with_the_reason(tmp_path, template, reason):
    with pytest.raises(InputError, match=reason):
        conversation(write_llm(tmp_path, template), "{speech}")


def test_a_conversation_may_be_written_out_and_must_end_in_one_token(tmp_path):
    llm = write_llm(tmp_path, None)
    codec = llm_codec(llm, "<bos>{speech}<turn>{text}</turn>")
    assert [codec.tokenizer.id_to_token(token) for token in (*codec.before, *codec.prefix, codec.end)] == [
        "<bos>", "<turn>", "</turn>",
    ]  # fmt: skip
    with pytest.raises(InputError, match="'ab', which ends the text, must be one token"):
        llm_codec(llm, "{speech}{text}ab")
    with pytest.raises(InputError, match="once and behind"):
        llm_codec(llm, "{text}{speech}")


def test_what_is_said_in_a_chat_prompt():
    assert [is_chat(prompt) for prompt in ("chat", "chat: a {speech}", "{speech}", "chatter {speech}")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert message("chatter {speech}") == "chatter {speech}"


@pytest.fixture
def chat_world(world):
    settings = json.loads((world / "llm" / "tokenizer_config.json").read_text())
    template = "{% for m in messages %}{{ bos_token + m.role[0] + ' ' + m.content + eos_token }}{% endfor %}"
    (world / "llm" / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
    yield world
    (world / "llm" / "tokenizer_config.json").write_text(json.dumps(settings))


def test_a_study_asks_for_the_template_and_its_runs_are_other_runs(chat_world, tmp_path):
    chat = write_study(chat_world, strategies=["joint"], budgets_flops=[5e7], prompt="chat: say {speech}")
    model = load_study(str(chat)).models[0]
    assert model.prompt == "<s>u say {speech}</s><s>a {text}</s>"
    spelled = read_yaml(chat).value | {"prompt": model.prompt}
    (chat_world / "spelled.yaml").write_text(to_yaml(spelled))
    (row,) = train_study(chat, tmp_path / "chat")
    (same,) = train_study(chat_world / "spelled.yaml", tmp_path / "spelled")
    (plain,) = train_study(write_study(chat_world, strategies=["joint"], budgets_flops=[5e7]), tmp_path / "plain")
    assert row["key"] == same["key"] != plain["key"]
    node = Ledger(tmp_path / "chat").stage(row["nodes"][-1])["node"]
    assert node["data"]["prompt"] == model.prompt


def test_a_prompt_without_a_place_for_the_speech_is_refused(world):
    for prompt in ("chat: say", "nothing", "{speech}{speech}"):
        with pytest.raises(InputError, match=r"prompt: .*expected text with \{speech\} once"):
            load_study(str(write_study(world, prompt=prompt)))
    with pytest.raises(InputError, match="has no chat template"):
        load_study(str(write_study(world, prompt="chat")))


def test_a_real_template_and_tokenizer_agree():
    llm = Path(os.environ.get("ASR_SCALING_CHECKPOINTS", "")) / "smollm2-135m"
    if not llm.is_dir():
        pytest.skip("ASR_SCALING_CHECKPOINTS names no folder with smollm2-135m")
    codec = llm_codec(llm, conversation(llm, "Transcribe: {speech}"))
    assert codec.tokenizer.id_to_token(codec.end) == "<|im_end|>"
    assert codec.tokenizer.decode(codec.prefix, skip_special_tokens=False) == ("<|im_end|>\n<|im_start|>assistant\n")
