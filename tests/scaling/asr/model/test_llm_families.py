"""Every family of LLMs in the recogniser: its own logits, blind to the batch, with adapters that merge."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from flop_reference import write_llm_config
from tiny_world import write_models
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from scaling.asr.evaluation.decode import transcribe
from scaling.asr.execution.lora_while_decoding import merged_lora
from scaling.asr.model import greedy, llm_decoder
from scaling.asr.model.llm_decoder import LlmDecoder
from scaling.asr.model.load_base import BaseModels
from scaling.asr.model.projector import Projector
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.base_models.encoders import asr_codec
from scaling.base_models.llm_families import FAMILIES
from scaling.base_models.llms import llm_dims
from scaling.base_models.tokenizers import llm_codec
from scaling.cost.model_shape import default_lora
from scaling.spec import Objective, Part

FRAMES, TEXTS = (9, 40, 23), ("12", "345678", "9")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(params=FAMILIES)
def directory(request, models, tmp_path) -> Path:
    """A small LLM of the family with the minis' tokenizer; with what the family may have: scaled or capped logits, a
    sliding window that is soon full."""
    for name in ("tokenizer.json", "generation_config.json"):
        shutil.copyfile(models / "llm" / name, tmp_path / name)
    vocabulary = AutoConfig.from_pretrained(models / "llm").vocab_size
    unusual = {
        "granite": {"logits_scaling": 3.0, "embedding_multiplier": 5.0},
        "mistral": {"sliding_window": 14},
        "phi3": {"sliding_window": 14},
        "gemma2": {"final_logit_softcapping": 2.0, "sliding_window": 14},
        "gemma3_text": {"sliding_window": 14},
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
    bases = BaseModels()
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
@pytest.mark.parametrize("positions", [1, 40, llm_decoder.PREFILL_POSITIONS], ids=["one", "two", "all"])
def test_greedy_decoding_writes_what_hugging_face_generates_whenever_the_others_end(model, monkeypatch, positions):
    """However many prompts are read together."""
    monkeypatch.setattr(llm_decoder, "PREFILL_POSITIONS", positions)
    monkeypatch.setattr(greedy, "LOOP_TOKENS", 1000)  # Hugging Face goes on in a loop
    prompts = [model.prompts(batch_of(model, [index]))[0] for index in range(3)]
    generate = partial(model.llm.generate, do_sample=False, num_beams=1, max_new_tokens=80, pad_token_id=0)
    endless = [generate(inputs_embeds=prompt[None], eos_token_id=-1)[0].tolist() for prompt in prompts]
    assert greedy.decode(LlmDecoder(model, prompts), [80, 3, 70], end=None) == [
        endless[0],
        endless[1][:3],
        endless[2][:70],
    ]
    end = endless[1][2]  # the second stops at its third token at the latest
    expected = [row[: row.index(end)] if end in row else row for row in endless]
    assert greedy.decode(LlmDecoder(model, prompts), [80] * 3, end) == expected


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


def test_adapters_are_folded_while_decoding_and_are_themselves_again_afterwards(model, directory):
    dims = llm_dims(directory / "config.json")
    model.add_adapters(Part.LLM_LORA, replace(default_lora(dims), rank=2), seed=0)
    for parameter in model.part_parameters(Part.LLM_LORA).values():
        nn.init.normal_(parameter, std=0.1)
    used: list[nn.Module] = []
    for name, module in model.llm.named_modules():
        if "lora_A." in name:
            module.register_forward_hook(lambda module, *_: used.append(module))

    @torch.no_grad()
    def logits() -> tuple[Tensor, int]:
        used.clear()
        return LlmDecoder(model, model.prompts(batch_of(model, [0, 1, 2]))).start(), len(used)

    plain, layers = logits()
    assert layers == len(dims.linears) * dims.layers
    with merged_lora(model.llm):
        found, still_used = logits()
    assert still_used == 0
    assert torch.allclose(found, plain, atol=1e-3 * float(plain.abs().max()))
    again, used_again = logits()
    assert used_again == layers
    assert torch.equal(again, plain)
    with torch.autocast("cpu", torch.bfloat16), merged_lora(model.llm):
        assert logits()[1] == layers, "the sum would be rounded"
