"""Every family of LLMs in the recogniser: its own logits, blind to the batch, with adapters that merge."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from flop_reference import write_llm_config
from tiny_world import write_models
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from scaling.asr import greedy
from scaling.asr.base_models import BaseModels
from scaling.asr.evaluate import transcribe
from scaling.asr.llm_writer import LlmWriter
from scaling.asr.model import Batch, Recognizer
from scaling.asr.projector import Projector
from scaling.defaults import default_lora
from scaling.encoders import asr_codec
from scaling.llms import FAMILIES, llm_dims
from scaling.spec import Objective, Part
from scaling.text import llm_codec

FRAMES, TEXTS = (9, 40, 23), ("12", "345678", "9")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(params=FAMILIES)
def directory(request, models, tmp_path) -> Path:
    """A small LLM of the family with the minis' tokenizer; scaled and capped logits where the family has them."""
    for name in ("tokenizer.json", "generation_config.json"):
        shutil.copyfile(models / "llm" / name, tmp_path / name)
    vocabulary = AutoConfig.from_pretrained(models / "llm").vocab_size
    unusual = {
        "granite": {"logits_scaling": 3.0, "embedding_multiplier": 5.0},
        "gemma2": {"final_logit_softcapping": 2.0},
    }
    changes = {"vocab_size": vocabulary, "bos_token_id": 1, "eos_token_id": 2, **unusual.get(request.param, {})}
    write_llm_config(request.param, tmp_path, attention_dropout=0.5, **changes)
    llm = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    for parameter in llm.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    llm.save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def model(models, directory) -> Recognizer:
    bases = BaseModels({})
    projector = Projector(encoder_width=16, stack=2, hidden=20, llm_width=32, seed=0)
    codecs = asr_codec(models / "encoder", "zh"), llm_codec(directory, "1{speech}")
    return Recognizer(bases.encoder(models / "encoder"), projector, bases.llm(directory), *codecs).eval()


def batch_of(model: Recognizer, chosen: list[int]) -> Batch:
    features = [torch.randn(80, FRAMES[index], generator=torch.Generator().manual_seed(index)) for index in chosen]
    targets = [torch.tensor(model.llm_codec.targets(TEXTS[index])) for index in chosen]
    return Batch.padded(features, torch.device("cpu"), llm_targets=targets)


@torch.no_grad()
def test_the_loss_is_that_of_its_own_forward_on_each_utterance(model):
    together, tokens = model.loss(batch_of(model, [0, 1, 2]), Objective.LLM)
    alone, embed = 0.0, model.llm.get_input_embeddings()
    for index in range(3):
        batch = batch_of(model, [index])
        (prompt,), (target,) = model.prompts(batch), batch.llm_targets
        inputs = torch.cat([prompt, embed(target[:-1])])[None]
        logits = model.llm(inputs_embeds=inputs, attention_mask=torch.ones(inputs.shape[:2])).logits[0]
        alone += float(functional.cross_entropy(logits[len(prompt) - 1 :], target, reduction="sum"))
    assert tokens == sum(map(len, TEXTS)) + 3
    assert float(together) == pytest.approx(alone, rel=1e-4)


@torch.no_grad()
def test_a_model_in_training_draws_nothing_whatever_its_config_asks_for(model):
    before, _ = model.loss(batch_of(model, [0, 1]), Objective.LLM)
    after, _ = model.train().loss(batch_of(model, [0, 1]), Objective.LLM)
    assert torch.equal(before, after)


def test_batched_decoding_writes_what_decoding_alone_writes(model):
    together = transcribe(model, batch_of(model, [0, 1, 2]), Objective.LLM, [12] * 3)
    assert together == [transcribe(model, batch_of(model, [index]), Objective.LLM, [12])[0] for index in range(3)]


@torch.no_grad()
def test_greedy_decoding_writes_what_hugging_face_generates_whenever_the_others_end(model):
    prompts = [model.prompts(batch_of(model, [index]))[0] for index in range(3)]
    generate = partial(model.llm.generate, do_sample=False, num_beams=1, max_new_tokens=80, pad_token_id=0)
    endless = [generate(inputs_embeds=prompt[None], eos_token_id=-1)[0].tolist() for prompt in prompts]
    assert greedy.write(LlmWriter(model, prompts), [80, 3, 70], end=None) == [
        endless[0],
        endless[1][:3],
        endless[2][:70],
    ]
    end = endless[1][2]  # the second stops at its third token at the latest
    expected = [row[: row.index(end)] if end in row else row for row in endless]
    assert greedy.write(LlmWriter(model, prompts), [80] * 3, end) == expected


def test_adapters_reach_every_linear_layer_and_merge_without_a_change(model, directory):
    dims = llm_dims(directory / "config.json")
    lora = replace(default_lora(dims), rank=2)
    model.add_adapters(Part.LLM_LORA, lora, seed=0)
    adapters = model.part_parameters(Part.LLM_LORA)
    assert len(adapters) == 2 * len(dims.linears) * dims.layers
    with torch.no_grad():
        for parameter in adapters.values():
            parameter.normal_(std=0.1)
        before, _ = model.loss(batch_of(model, [0, 1]), Objective.LLM)
        model.merge_adapters(Part.LLM_LORA)
        after, _ = model.loss(batch_of(model, [0, 1]), Objective.LLM)
    assert float(after) == pytest.approx(float(before), rel=1e-4)
