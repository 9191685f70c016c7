"""The recogniser: equal to Hugging Face's own models where those apply, and blind to what else is in the batch."""

from pathlib import Path

import pytest
import torch
from tiny_world import write_models
from transformers import AutoModelForCausalLM, WhisperForConditionalGeneration

from scaling.asr.checkpoint import Checkpoint, Progress, load, save
from scaling.asr.evaluation.decode import transcribe
from scaling.asr.model import greedy
from scaling.asr.model.encoders.text_decoder import decoder_hidden_states
from scaling.asr.model.encoders.whisper import encode
from scaling.asr.model.llm_decoder import LlmDecoder
from scaling.asr.model.projector import Projector
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.asr.part_weights import load_part
from scaling.base_models.encoders import asr_codec
from scaling.base_models.llms import LLMS
from scaling.base_models.tokenizers import llm_codec
from scaling.cost.model_shape import default_lora
from scaling.spec import Objective, Part

LLM_LORA = default_lora(LLMS["Qwen2.5-0.5B"])
FRAMES = (9, 40, 23, 24)
TEXTS = ("12", "345678", "9", "00112")
TOLERANCE = 2e-5
"""Sums in another order: about 100 roundings of fp32 at the magnitude of these states."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture
def model(models: Path) -> Recognizer:
    whisper = WhisperForConditionalGeneration.from_pretrained(models / "encoder", dtype=torch.float32)
    llm = AutoModelForCausalLM.from_pretrained(models / "llm", dtype=torch.float32)
    projector = Projector(
        encoder_width=whisper.config.d_model, stack=2, hidden=20, llm_width=llm.config.hidden_size, seed=0
    )
    codecs = asr_codec(models / "encoder", "zh"), llm_codec(models / "llm", "{speech}")
    return Recognizer(whisper, projector, llm, *codecs).eval()


def batch_of(model: Recognizer, chosen: list[int]) -> Batch:
    """Utterances of random features, padded with zeros to the longest."""
    longest = max(FRAMES[index] for index in chosen)
    mel = torch.zeros(len(chosen), 80, longest)
    for row, index in enumerate(chosen):
        mel[row, :, : FRAMES[index]] = torch.randn(80, FRAMES[index], generator=torch.Generator().manual_seed(index))
    return Batch(
        features_BMT=mel,
        frames_B=torch.tensor([FRAMES[index] for index in chosen]),
        asr_targets=[torch.tensor(model.asr_codec.targets(TEXTS[index])) for index in chosen],
        llm_targets=[torch.tensor(model.llm_codec.targets(TEXTS[index])) for index in chosen],
    )


EVERYONE = list(range(len(FRAMES)))


@torch.no_grad()
def test_at_its_own_length_the_encoder_is_hugging_faces_bit_for_bit(model):
    encoder = model.asr.model.encoder
    mel = torch.randn(2, 80, 2 * encoder.config.max_source_positions)
    hidden, lengths = encode(encoder, mel, torch.tensor([mel.shape[-1]] * 2))
    assert torch.equal(hidden, encoder(mel).last_hidden_state)
    assert lengths.tolist() == [encoder.config.max_source_positions] * 2


@torch.no_grad()
def test_the_decoder_is_hugging_faces_on_unpadded_memory(model):
    memory = torch.randn(2, 12, model.asr.config.d_model)
    ids = torch.tensor([[1, 50, 60, 70], [1, 80, 90, 100]])
    own = decoder_hidden_states(model.asr.model.decoder, ids, memory, torch.tensor([12, 12]))
    theirs = model.asr.model.decoder(input_ids=ids, encoder_hidden_states=memory).last_hidden_state
    assert torch.allclose(own, theirs, atol=TOLERANCE)


def test_speech_longer_than_the_encoders_positions_is_refused(model):
    frames = 2 * model.asr.config.max_source_positions + 1
    with pytest.raises(ValueError, match="exceed the model's 750"):
        encode(model.asr.model.encoder, torch.zeros(1, 80, frames), torch.tensor([frames]))


@torch.no_grad()
def test_an_utterances_speech_tokens_do_not_depend_on_its_neighbours(model):
    together, lengths = model.speech_tokens(batch_of(model, EVERYONE))
    for row, index in enumerate(EVERYONE):
        alone, (length,) = model.speech_tokens(batch_of(model, [index]))
        assert lengths[row] == length
        assert torch.allclose(together[row, :length], alone[0], atol=TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("objective", Objective)
def test_the_loss_of_a_batch_is_the_sum_over_its_utterances_tokens(model, objective):
    together, tokens = model.loss(batch_of(model, EVERYONE), objective)
    alone = [model.loss(batch_of(model, [index]), objective) for index in EVERYONE]
    assert tokens == sum(len(text) + 1 for text in TEXTS) == sum(count for _, count in alone)
    assert float(together) == pytest.approx(sum(float(loss) for loss, _ in alone), rel=1e-5)


@pytest.mark.parametrize("objective", Objective)
def test_batched_decoding_writes_what_decoding_alone_writes(model, objective):
    together = transcribe(model, batch_of(model, EVERYONE), objective, [12] * len(EVERYONE))
    alone = [transcribe(model, batch_of(model, [index]), objective, [12])[0] for index in EVERYONE]
    assert together == alone
    assert any(together)


def test_nothing_is_written_after_the_token_at_which_it_is_asked_to_stop(model):
    asked = iter([False, False, True])
    limits, prompts = [12] * len(EVERYONE), model.prompts(batch_of(model, EVERYONE))
    with torch.no_grad():
        whole = greedy.decode(LlmDecoder(model, prompts), limits, end=None)
        begun = greedy.decode(LlmDecoder(model, prompts), limits, end=None, should_stop=lambda: next(asked))
    assert begun == [row[:3] for row in whole]


def test_the_end_token_is_a_target_and_padding_is_not(model):
    """The gradient of the end token's row comes from real ends alone: as many as there are utterances."""
    batch = batch_of(model, EVERYONE)
    assert all(int(target[-1]) == model.llm_codec.end for target in batch.llm_targets)
    assert model.llm_codec.end != model.llm.config.pad_token_id
    _, tokens = model.loss(batch, Objective.LLM)
    assert tokens == sum(map(len, batch.llm_targets))


@pytest.mark.parametrize(
    ("parts", "training"),
    [
        ({Part.ENCODER, Part.ASR_DECODER}, {"encoder", "decoder"}),
        ({Part.PROJECTOR}, {"projector"}),
        ({Part.PROJECTOR, Part.LLM_LORA}, {"projector", "llm"}),
        ({Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA}, {"encoder", "projector", "llm"}),
    ],
    ids=lambda value: "+".join(sorted(value)),
)
def test_frozen_parts_are_in_eval_mode_and_keep_no_gradient(model, parts, training):
    model.add_adapters(Part.LLM_LORA, LLM_LORA, seed=0)
    model.train()
    trained = model.set_trainable(parts)
    modules = {
        "encoder": model.asr.model.encoder,
        "decoder": model.asr.model.decoder,
        "projector": model.projector,
        "llm": model.llm,
    }
    assert {name for name, module in modules.items() if module.training} == training
    wanted = {id(parameter) for parameters in trained.values() for parameter in parameters}
    assert {id(parameter) for parameter in model.parameters() if parameter.requires_grad} == wanted


@torch.no_grad()
def test_the_first_loss_after_loading_a_checkpoint_is_the_last_before_saving(model, models, tmp_path):
    model.add_adapters(Part.LLM_LORA, LLM_LORA, seed=0)
    for parameter in model.part_parameters(Part.LLM_LORA).values():
        parameter.normal_(std=0.1)
    weights = {
        f"{part.value}/{name}": tensor.clone()
        for part in (Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA)
        for name, tensor in model.part_parameters(part).items()
    }
    before, _ = model.loss(batch_of(model, EVERYONE), Objective.LLM)
    save(tmp_path / "c", Checkpoint(weights, None, Progress.beginning(3)))
    for tensors in (model.part_parameters(part) for part in (Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA)):
        for parameter in tensors.values():
            parameter.zero_()
    for part in (Part.ENCODER, Part.PROJECTOR, Part.LLM_LORA):
        load_part(model, part, load(tmp_path / "c").weights)
    after, _ = model.loss(batch_of(model, EVERYONE), Objective.LLM)
    assert torch.equal(before, after)


@torch.no_grad()
def test_a_merged_adapter_computes_the_same(model):
    model.add_adapters(Part.LLM_LORA, LLM_LORA, seed=0)
    for parameter in model.part_parameters(Part.LLM_LORA).values():
        parameter.normal_(std=0.1)
    before, _ = model.loss(batch_of(model, EVERYONE), Objective.LLM)
    model.merge_adapters(Part.LLM_LORA)
    after, _ = model.loss(batch_of(model, EVERYONE), Objective.LLM)
    assert float(after) == pytest.approx(float(before), rel=1e-5)
