"""The models, the speech and the two sides that `bench_training.py` compares; `bench_gpu.py` trains the first alone.

ModelShape where no other is named: a Whisper-shaped encoder-decoder of width 192, 4 layers each, a Qwen2-shaped LLM of
width 192 and 4 layers, vocabulary 4096. Random weights; speech of log-normal length between 1 and 8 s, 3 s in the mean,
four characters a second. *Ours* is the trainer itself. *Common* is the loop that public recipes run: Hugging Face
modules on windows of 30 s from WhisperFeatureExtractor's defaults, utterances in random order, labels padded, the same
AdamW.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from scaling.asr.checkpoint import Checkpoint, Progress
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model.projector import Projector
from scaling.asr.pretraining.mini_models import new_tokenizer
from scaling.asr.resources import Sources, WorkerResources
from scaling.asr.train import Hooks, train
from scaling.base_models.encoders.whisper import WhisperDims
from scaling.base_models.llms import LlmDims
from scaling.cost.flops import charged
from scaling.cost.model_shape import default_lora, default_shape
from scaling.ledger.plan_file import CacheLimits, Source
from scaling.spec import DataSpec, ModelSpec, Optimization, Precision, StageNode
from scaling.speech.audio import Clip, read_clip
from scaling.speech.manifest import read_manifest
from scaling.strategies.design import StrategyRequest
from scaling.strategies.presets import preset
from scaling.strategies.resolve import resolve

BATCH = 16
BATCH_AUDIO_SECONDS = 48.0  # 16 utterances of 3 s
OPTIMIZATION = Optimization(
    batch_audio_seconds=BATCH_AUDIO_SECONDS,
    warmup_steps=0,
    cooldown=0.0,
    beta1=0.9,
    beta2=0.98,
    weight_decay=0.01,
    clip_norm=1.0,
)
RATE = 1e-3
SPEECH = "speech.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The models of a lab by their dimensions, and how much speech they train on at once."""

    encoder: WhisperDims
    llm: LlmDims
    batch_audio_seconds: float = BATCH_AUDIO_SECONDS


WIDTH_192 = Pair(
    encoder=WhisperDims(
        name="encoder",
        source="this file",
        mel_bins=80,
        hop_length=160,
        width=192,
        layers=4,
        heads=4,
        ffn=768,
        decoder_layers=4,
        decoder_heads=4,
        decoder_ffn=768,
        vocabulary=4096,
        max_positions=1500,
        max_decoder_positions=448,
    ),
    llm=LlmDims(
        name="llm",
        source="this file",
        width=192,
        layers=4,
        heads=4,
        kv_heads=4,
        head_dim=48,
        ffn=768,
        vocabulary=4096,
        tied=True,
    ),
)


class Lab:
    """Models and speech in a folder, for `device`. `utterances` is the size of an epoch."""

    def __init__(self, folder: Path, utterances: int, pair: Pair = WIDTH_192, device: str = "cpu") -> None:
        self.folder, self.pair, self.device = folder, pair, device
        self.stack, self.lora = default_shape(pair.encoder, pair.llm).stack, default_lora(pair.llm)
        optimization = replace(OPTIMIZATION, batch_audio_seconds=pair.batch_audio_seconds)
        request = StrategyRequest(design=preset("efin"))
        strategy = resolve(request, optimization, encoder_width=pair.encoder.width, llm_width=pair.llm.width)
        self.stages = {stage.name: stage for stage in strategy.stages}
        _write_models(folder, pair)
        self.texts, self.audio = _write_speech(folder, utterances)
        self.speech = read_manifest(folder / SPEECH).digest

    def resources(self, gib: float, *, compiled: bool = False) -> WorkerResources:
        """A worker that keeps up to so much of frozen encoders' outputs."""
        found = {"encoder": self.folder / "encoder", "llm": self.folder / "llm", self.speech: self.folder / SPEECH}
        places = {name: Source(path=str(path), hours=None) for name, path in found.items()}
        bounds = CacheLimits(memory_gib=gib, disk_gib=0.0)
        return WorkerResources(Sources(places), torch.device(self.device), bounds, compiled=compiled)

    def node(self, stage: str, precision: Precision, until_flops: int) -> StageNode:
        """The node that trains one stage so far."""
        return StageNode(
            parent=None,
            start=None,
            start_flops=0,
            model=ModelSpec(
                encoder_name=self.pair.encoder.name,
                llm_name=self.pair.llm.name,
                encoder="encoder",
                llm="llm",
                stack=self.stack,
                hidden=self.pair.llm.width,
                encoder_lora=default_lora(self.pair.encoder),
                llm_lora=self.lora,
            ),
            stage=self.stages[stage],
            data=DataSpec(train=self.speech, dev=self.speech, test=(), prompt="{speech}", language="zh"),
            seed=0,
            precision=precision,
            until_flops=until_flops,
            cooldown_from_flops=None,
            final=False,
        )


QUIET = Hooks(
    on_progress=lambda *_: None,
    on_checkpoint=lambda _: None,
    before_step=lambda _: False,
    should_stop=lambda: False,
    checkpoint_seconds=math.inf,
)


class Ours:
    """The trainer, an epoch at a time: the first hears with the encoder, later ones what was kept of it."""

    def __init__(
        self,
        lab: Lab,
        stage: str,
        precision: Precision,
        *,
        kept_gib: float = 4.0,
        hooks: Hooks = QUIET,
        compiled: bool = False,
    ) -> None:
        self._resources, self._hooks = lab.resources(kept_gib, compiled=compiled), hooks
        node = lab.node(stage, precision, until_flops=1)
        model = self._resources.recognizer(node, {}, for_training=True)
        self.model_shape = self._resources.model_shape(node)
        self.inputs: ModelInputs = self._resources.model_inputs(node, model, lab.speech)
        lengths = self.inputs.dataset.lengths
        self.epoch_flops = int(charged(self.model_shape, node.stage, lengths).sum())
        self.audio_seconds = float(lengths.samples.sum()) / 16_000
        self.state = Checkpoint({}, None, Progress.beginning(len(lengths)))
        self._node, self._epochs = node, 0

    def epoch(self) -> float:
        """Train for one epoch more; its processor seconds."""
        self._epochs += 1
        node = replace(self._node, until_flops=self._epochs * self.epoch_flops)
        began = time.process_time()
        self.state = train(node, self.inputs, self.model_shape, self.state, self._hooks)
        return time.process_time() - began


class Common:
    """What public recipes run, a few steps at a time."""

    def __init__(self, lab: Lab, stage: str, precision: Precision) -> None:
        self._lab, self._stage, self._bf16 = lab, stage, precision is Precision.BF16
        self._extractor = WhisperFeatureExtractor.from_pretrained(lab.folder / "encoder")
        self._tokenizer = new_tokenizer()
        self._whisper = WhisperForConditionalGeneration.from_pretrained(lab.folder / "encoder", dtype=torch.float32)
        self._llm = Qwen2ForCausalLM.from_pretrained(lab.folder / "llm", dtype=torch.float32)
        stacked, hidden = lab.stack * lab.pair.encoder.width, lab.pair.llm.width
        self._projector = nn.Sequential(nn.Linear(stacked, hidden), nn.GELU(), nn.Linear(hidden, lab.pair.llm.width))
        self._trained = list(self._choose())
        self._optimizer = torch.optim.AdamW(self._trained, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self._order = np.random.default_rng(0).permutation(len(lab.texts))
        self._next = 0

    def steps(self, count: int) -> tuple[float, float]:
        """Audio seconds trained on, and processor seconds."""
        heard, began = 0.0, time.process_time()
        for _ in range(count):
            chosen = self._order[self._next : self._next + BATCH]
            self._next = (self._next + BATCH) % (len(self._order) - BATCH)
            waves = [read_clip(Clip(path=self._lab.audio[index])) for index in chosen]
            heard += sum(map(len, waves)) / 16_000
            features = self._extractor(waves, sampling_rate=16_000, return_tensors="pt").input_features
            targets = [torch.tensor([*self._tokenizer.encode(self._lab.texts[index]), 2]) for index in chosen]
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
                loss = self._loss(features, targets)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._trained, 1.0)
            self._optimizer.step()
            float(loss.detach())
        return heard, time.process_time() - began

    def project_as(self, projector: Projector) -> None:
        """Take over the weights of a projector of ours."""
        for own, taken in ((self._projector[0], projector.fc1), (self._projector[2], projector.fc2)):
            own.load_state_dict(taken.state_dict())

    def features(self, index: int) -> Tensor:
        """What the encoder reads of an utterance: a window of 30 s."""
        wave = read_clip(Clip(path=self._lab.audio[index]))
        return self._extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features

    @torch.no_grad()
    def generate(self, features: Tensor, tokens: int) -> list[int]:
        """So many tokens, greedily, as transformers does it."""
        speech = self._speech(features)
        real = torch.ones(speech.shape[:2], dtype=torch.long)
        limits = {"min_new_tokens": tokens, "max_new_tokens": tokens}
        return self._llm.generate(inputs_embeds=speech, attention_mask=real, do_sample=False, **limits)[0].tolist()

    def _speech(self, features: Tensor) -> Tensor:
        with torch.no_grad():
            frames = self._whisper.model.encoder(features).last_hidden_state
        return self._projector(frames.reshape(len(features), -1, self._projector[0].in_features))

    def _choose(self) -> Iterator[nn.Parameter]:
        for module in (self._whisper, self._llm, self._projector):
            module.requires_grad_(False)
        if self._stage == "encoder":
            yield from self._whisper.requires_grad_(True).parameters()
            return
        yield from self._projector.requires_grad_(True).parameters()
        if self._stage == "projector_lora":
            lora = self._lab.lora
            config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0)
            inject_adapter_in_model(config, self._llm)
            yield from (p.requires_grad_(True) for name, p in self._llm.named_parameters() if "lora_" in name)

    def _loss(self, features: Tensor, targets: list[Tensor]) -> Tensor:
        return self._asr_loss(features, targets) if self._stage == "encoder" else self._llm_loss(features, targets)

    def _asr_loss(self, features: Tensor, targets: list[Tensor]) -> Tensor:
        labels = pad_sequence(targets, batch_first=True, padding_value=-100)
        return self._whisper(input_features=features, labels=labels).loss

    def _llm_loss(self, features: Tensor, targets: list[Tensor]) -> Tensor:
        speech = self._speech(features)
        labels = pad_sequence(targets, batch_first=True, padding_value=-100)
        text = self._llm.get_input_embeddings()(labels.clamp_min(0)).to(speech.dtype)
        silent = torch.full(speech.shape[:2], -100)
        inputs = torch.cat([speech, text], dim=1)
        mask = torch.cat([torch.ones_like(silent), (labels != -100).long()], dim=1)
        return self._llm(inputs_embeds=inputs, attention_mask=mask, labels=torch.cat([silent, labels], dim=1)).loss


def _write_models(folder: Path, pair: Pair) -> None:
    torch.manual_seed(0)
    tokenizer = new_tokenizer()
    heard, written = pair.encoder, pair.llm
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    encoder = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=heard.vocabulary,
            num_mel_bins=heard.mel_bins,
            d_model=heard.width,
            encoder_layers=heard.layers,
            decoder_layers=heard.decoder_layers,
            encoder_attention_heads=heard.heads,
            decoder_attention_heads=heard.decoder_heads,
            encoder_ffn_dim=heard.ffn,
            decoder_ffn_dim=heard.decoder_ffn,
            max_source_positions=heard.max_positions,
            max_target_positions=heard.max_decoder_positions,
            decoder_start_token_id=1,
            begin_suppress_tokens=None,
            suppress_tokens=None,
            **special,
        )
    )
    llm = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=written.vocabulary,
            hidden_size=written.width,
            intermediate_size=written.ffn,
            num_hidden_layers=written.layers,
            num_attention_heads=written.heads,
            num_key_value_heads=written.kv_heads,
            tie_word_embeddings=written.tied,
            **special,
        )
    )
    for model, name in ((encoder, "encoder"), (llm, "llm")):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    features = WhisperFeatureExtractor(feature_size=heard.mel_bins, hop_length=heard.hop_length)
    features.save_pretrained(folder / "encoder")


def _write_speech(folder: Path, utterances: int) -> tuple[list[str], list[Path]]:
    draw = np.random.default_rng(0)
    seconds = np.clip(draw.lognormal(math.log(2.7), 0.5, utterances), 1.0, 8.0)
    texts = ["".join(map(str, draw.integers(0, 10, round(4 * length)))) for length in seconds]
    audio = [folder / f"{index}.wav" for index in range(utterances)]
    for path, length in zip(audio, seconds, strict=True):
        soundfile.write(path, 0.1 * draw.standard_normal(round(16_000 * length)), 16_000, subtype="PCM_16")
    rows = [{"audio_filepath": path.name, "text": text} for path, text in zip(audio, texts, strict=True)]
    (folder / SPEECH).write_text("".join(f"{_json(row)}\n" for row in rows))
    return texts, audio


def _json(row: dict[str, str]) -> str:
    return json.dumps(row)
