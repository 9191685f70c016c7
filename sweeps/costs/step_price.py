"""What one training step costs, stage by stage and part by part, from names alone: no weights, no data, no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NotRequired, TypedDict

import numpy as np

from scaling.base_models.lookup import find_encoder, find_llm
from scaling.cost.decoding import generation_flops
from scaling.cost.flops import executed, six_nd
from scaling.cost.model_shape import ModelShape, default_shape
from scaling.cost.training_time import Speed, beside_products, device_speed
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, LoraSpec, Objective, Part
from scaling.speech.lengths import Lengths
from scaling.strategies.design import StageDesign
from scaling.strategies.presets import preset
from scaling.system.text_table import text_table
from sweeps.costs.tariff import Purchase

SCHEMA = 1

CONVENTIONS = (
    "FLOPs are 2 per multiply-add of linear layers, convolutions and attention products; no biases, norms, softmax,"
    " activations, embeddings, rotary tables, loss or optimizer",
    "all utterances of the step have the same length, so charged (real lengths) equals executed (padded) FLOPs",
    "log-mel encoders (Whisper): mel_frames = samples // hop_length; encoder_frames = (mel_frames + 1) // 2 (second"
    " convolution, stride 2, kernels of 3)",
    "waveform encoders (wav2vec 2.0, HuBERT, WavLM, Omnilingual ASR): a layer of the front end gives"
    " (length - kernel) // stride + 1 frames, the last encoder_frames; front_end = its multiply-adds, forward only: it"
    " never trains; the positional convolution has kernels of position_kernel x width / position_groups; WavLM gates"
    " the bias of its scores by a product of 8 x width / heads in each of encoder_heads = encoder_frames x heads",
    "Conformers (Parakeet, w2v-BERT): strided_N = frames x bins of the spectrogram after strides of 2; kernels of"
    " depthwise convolutions have 1 feature; Parakeet projects encoder_distances = 2 x encoder_frames - 1 distances in"
    " every layer and has encoder_distance_pairs products of queries with them, w2v-BERT encoder_pairs products with"
    " embedded distances",
    "Qwen3-ASR: convolutions of stride 2 with full kernels run on whole chunks of 100 mel frames, the last filled up;"
    " chunk_frames = their positions; encoder_pairs = sum of the squares of its windows' positions",
    "speech_tokens = ceil(encoder_frames / stack), zero-padded; projector = linear, GELU, linear",
    "llm_positions = prompt_tokens + speech_tokens + text_tokens; decoder_positions = text_tokens +"
    " decoder_prompt_tokens, or encoder_frames for CTC; text_tokens counts the end token as a target, and the start"
    " token as an input",
    "logits at the text_tokens target positions only; cross attention keys and values run on encoder_frames",
    "attention over all query-key pairs (not halved for being causal), keys and values repeated to all query heads",
    "input_grad and weight_grad are counted where autograd computes them: never below the lowest trained weight",
    "objective asr trains encoder and decoder (CTC: its head on all encoder_frames); objective llm runs encoder,"
    " projector and LLM; LoRA (dropout 0, no bias) adds rank x (in + out) per target layer, and only in stages where it"
    " trains; no activation checkpointing",
)
"""What an outsider needs to count the step again, in words; the numbers are in the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedStep:
    """The step asked about. `text_tokens` counts target tokens with the end token, for both the decoder and the LLM."""

    encoder: str
    llm: str
    strategy: str
    audio_seconds: float
    text_tokens: int
    prompt_tokens: int = 0
    decoder_prompt_tokens: int = 0
    batch: int = 1
    beams: int = 1
    stack: int | None = None
    hidden: int | None = None
    lora_rank: int | None = None
    lora_targets: Sequence[str] | None = None

    def __post_init__(self) -> None:
        counts = ("text_tokens", "batch", "beams", "stack", "hidden", "lora_rank")
        for name, least in (*dict.fromkeys(counts, 1).items(), ("prompt_tokens", 0), ("decoder_prompt_tokens", 0)):
            if (value := getattr(self, name)) is not None and value < least:
                flag = {"hidden": "projector-hidden"}.get(name, name.replace("_", "-"))
                raise InputError(f"--{flag} must be {least} or more, not {value}")


class StagePrice(TypedDict):
    """What one stage of the strategy costs a step, in FLOPs; `device_seconds` where a device was named."""

    name: str
    objective: str
    trains: list[str]
    share: float | None
    parts: dict[str, dict[str, int]]
    total: int
    flops_per_audio_second: float
    six_nd: dict[str, float]
    device_seconds: NotRequired[float]


class StageShare(TypedDict):
    """What one stage gets of a budget."""

    name: str
    flops: float
    steps: float
    audio_hours: float


class BudgetPrice(TypedDict):
    """What a budget buys; `device_hours` and `usd` where a device was named."""

    flops: float
    stages: list[StageShare]
    device_hours: NotRequired[float]
    usd: NotRequired[float]


class StepPrice(TypedDict):
    """The price of a step, as `asr-scaling flops --json` prints it.

    `encoder`, `llm`, `lora` and `hardware` hold the fields of `EncoderDims`, `LlmDims`, `LoraSpec` and `Hardware`;
    `lengths` are those of one utterance.
    """

    schema: int
    strategy: str
    encoder: Mapping[str, Any]
    llm: Mapping[str, Any]
    projector: dict[str, int]
    lora: Mapping[str, Any]
    batch: int
    lengths: dict[str, float]
    conventions: list[str]
    stages: list[StagePrice]
    generation: dict[str, int]
    hardware: NotRequired[Mapping[str, Any]]
    budget: NotRequired[BudgetPrice]


def price_step(step: PricedStep, budget_flops: float | None = None, purchase: Purchase | None = None) -> StepPrice:
    """The price of a step as a document.

    With `budget_flops`, what each stage gets of it; with a `purchase`, device-hours and money. Raises InputError on
    unknown names, on lengths below one frame or token, and on audio or text the encoder-decoder has no positions for.
    """
    if budget_flops is not None and not 0 < budget_flops < float("inf"):
        raise InputError(f"--budget must be FLOPs above 0, not {budget_flops}")
    model_shape = _model_shape(step)
    stages_of_preset = preset(step.strategy).stages
    try:
        model_shape.refuse_missing_objective(stages_of_preset)
    except InputError as error:
        raise InputError(f"--strategy {step.strategy}: {error}") from error
    encoder, lengths = model_shape.encoder, _lengths(step, model_shape)
    stages = [_stage(model_shape, stage, lengths, step) for stage in stages_of_preset]
    document: StepPrice = {
        "schema": SCHEMA,
        "strategy": step.strategy,
        "encoder": asdict(encoder)
        | {"encoder_params": encoder.encoder_params, "asr_decoder_params": encoder.asr_decoder_params},
        "llm": asdict(model_shape.llm) | {"params": model_shape.llm.params},
        "projector": _projector(model_shape),
        "lora": asdict(model_shape.llm_lora),
        "batch": step.batch,
        "lengths": _lengths_document(step, model_shape, lengths),
        "conventions": list(CONVENTIONS),
        "stages": stages,
        "generation": _generation(model_shape, lengths, step),
    }
    if purchase is not None:
        speed = device_speed(purchase.hardware, purchase.mfu)
        document["hardware"] = _hardware(purchase, speed)
        for stage in stages:
            stage["device_seconds"] = speed.seconds(stage["total"], 1.0)
    if budget_flops is not None:
        document["budget"] = _budget(budget_flops, stages, purchase)
    return document


def step_price_text(document: StepPrice) -> str:
    """The document for people."""
    lengths = document["lengths"]
    lines = [
        f"{document['encoder']['name']} + {document['llm']['name']}, {document['strategy']}: one step on"
        f" {document['batch']} x {lengths['audio_seconds']:g} s, {lengths['text_tokens']} target tokens",
        f"{lengths['encoder_frames']} encoder positions, {lengths['speech_tokens']} speech tokens,"
        f" {lengths['llm_positions']} LLM positions",
        "",
    ]
    rows = []
    for stage in document["stages"]:
        off = f"off by {stage['six_nd']['relative_error']:+.0%}"
        rows.append([stage["name"], "all parts", "", "", "", f"{stage['total']:.4g}", off])
        for part, kinds in stage["parts"].items():
            costs = (f"{kinds[kind]:.4g}" for kind in ("forward", "input_grad", "weight_grad", "total"))
            rows.append(["", part, *costs, ""])
    lines.append(text_table(["stage", "FLOPs of", "forward", "input grad", "weight grad", "total", "6ND rule"], rows))
    decoding = document["generation"]
    beams = f"{decoding['beams']} beam{'s' * (decoding['beams'] > 1)}"
    lines += ["", f"decoding the same batch with {beams}: {decoding['total']:.4g}, never charged to training"]
    return "\n".join(lines + _hardware_lines(document) + _budget_lines(document))


def _model_shape(step: PricedStep) -> ModelShape:
    encoder, llm = find_encoder(step.encoder).dims, find_llm(step.llm).dims
    default = default_shape(encoder, llm)
    return replace(
        default,
        stack=default.stack if step.stack is None else step.stack,
        hidden=default.hidden if step.hidden is None else step.hidden,
        llm_lora=_lora(step, default.llm_lora),
        llm_prompt_tokens=step.prompt_tokens,
        asr_prompt_extra=step.decoder_prompt_tokens,
    )


def _lora(step: PricedStep, default: LoraSpec) -> LoraSpec:
    return replace(
        default,
        rank=default.rank if step.lora_rank is None else step.lora_rank,
        targets=default.targets if step.lora_targets is None else tuple(step.lora_targets),
    )


def _lengths(step: PricedStep, model_shape: ModelShape) -> Lengths:
    if not 0 <= step.audio_seconds < float("inf"):
        raise InputError(f"--audio-seconds must be 0 or more, not {step.audio_seconds}")
    samples = round(step.audio_seconds * SAMPLE_RATE)
    if step.audio_seconds > model_shape.encoder.max_audio_seconds:
        longest = model_shape.encoder.max_audio_seconds
        raise InputError(
            f"--audio-seconds {step.audio_seconds:g}: {model_shape.encoder.name} hears at most {longest:g} s"
        )
    tokens = np.full(step.batch, step.text_tokens, dtype=np.int64)
    lengths = Lengths(samples=np.full(step.batch, samples, dtype=np.int64), asr_tokens=tokens, llm_tokens=tokens)
    if not model_shape.encoder_frames(lengths)[0]:
        raise InputError(f"--audio-seconds {step.audio_seconds:g} is less than one frame of {model_shape.encoder.name}")
    _refuse_too_long(step, model_shape, lengths)
    return lengths


def _refuse_too_long(step: PricedStep, model_shape: ModelShape, lengths: Lengths) -> None:
    """Raise InputError where there are no positions for a step, naming the flag that takes most of them."""
    most = int(model_shape.most_text_tokens(lengths)[0])
    if step.text_tokens > most:
        prompt = f" after {step.decoder_prompt_tokens} prompt tokens" if step.decoder_prompt_tokens else ""
        if step.decoder_prompt_tokens > step.text_tokens:
            flag = f"--decoder-prompt-tokens {step.decoder_prompt_tokens}"
            raise InputError(f"{flag}: {model_shape.encoder.name} writes at most {most} tokens{prompt}")
        raise InputError(f"--text-tokens {step.text_tokens}: {model_shape.encoder.name} writes at most {most}{prompt}")
    positions, context = int(model_shape.llm_positions(lengths)[0]), model_shape.llm.context
    if positions > context:
        speech = int(model_shape.speech_tokens(lengths)[0])
        flags = {
            f"--prompt-tokens {step.prompt_tokens}": step.prompt_tokens,
            f"--text-tokens {step.text_tokens}": step.text_tokens,
            f"--audio-seconds {step.audio_seconds:g}": speech,
        }
        raise InputError(
            f"{max(flags, key=flags.__getitem__)}: prompt, speech ({speech} tokens) and text take {positions} positions"
            f" of {model_shape.llm.name}, which has {context}"
        )


def _stage(model_shape: ModelShape, stage: StageDesign, lengths: Lengths, step: PricedStep) -> StagePrice:
    costs = executed(model_shape, stage, lengths)
    total = sum(cost.total for cost in costs.values())
    rule = six_nd(model_shape, stage, lengths)
    return {
        "name": stage.name,
        "objective": stage.objective.value,
        "trains": [part.value for part in Part if part in stage.parts],
        "share": stage.share,
        "parts": {part.value: asdict(cost) | {"total": cost.total} for part, cost in costs.items()},
        "total": total,
        "flops_per_audio_second": total / (step.batch * step.audio_seconds),
        "six_nd": {"flops": rule, "relative_error": rule / total - 1},
    }


def _projector(model_shape: ModelShape) -> dict[str, int]:
    return {
        "stack": model_shape.stack,
        "input_width": model_shape.stack * model_shape.encoder.width,
        "hidden": model_shape.hidden,
        "output_width": model_shape.llm.width,
        "params": model_shape.projector_params,
    }


def _lengths_document(step: PricedStep, model_shape: ModelShape, lengths: Lengths) -> dict[str, float]:
    """Lengths of one utterance; all of the batch are alike."""
    return {
        "audio_seconds": step.audio_seconds,
        "samples": int(lengths.samples[0]),
        **{work.value: int(amount[0]) for work, amount in model_shape.encoder.encoder_work(lengths.samples).items()},
        "speech_tokens": int(model_shape.speech_tokens(lengths)[0]),
        "prompt_tokens": step.prompt_tokens,
        "text_tokens": step.text_tokens,
        "llm_positions": int(model_shape.llm_positions(lengths)[0]),
        "decoder_prompt_tokens": step.decoder_prompt_tokens,
        "decoder_positions": int(model_shape.output_positions(lengths)[0]),
    }


def _generation(model_shape: ModelShape, lengths: Lengths, step: PricedStep) -> dict[str, int]:
    phases = generation_flops(model_shape, Objective.LLM, lengths, step.text_tokens, step.beams)
    return {"beams": step.beams, "new_tokens": step.text_tokens, **phases, "total": sum(phases.values())}


def _hardware(purchase: Purchase, speed: Speed) -> Mapping[str, Any]:
    document = asdict(purchase.hardware) | {"usd_source": "assumption", "step_seconds": speed.step_seconds}
    del document["names"]
    if purchase.mfu is not None:
        document |= {"mfu": purchase.mfu, "mfu_source": "given"}
    if purchase.usd_per_hour is not None:
        document |= {"usd_per_hour": purchase.usd_per_hour, "usd_source": "given"}
    return document


def _budget(flops: float, stages: list[StagePrice], purchase: Purchase | None) -> BudgetPrice:
    shares: list[StageShare] = []
    for stage in stages:
        stage_flops = (stage["share"] or 0.0) * flops  # every stage of a preset has a share
        steps, audio_hours = stage_flops / stage["total"], stage_flops / stage["flops_per_audio_second"] / 3600
        shares.append({"name": stage["name"], "flops": stage_flops, "steps": steps, "audio_hours": audio_hours})
    document: BudgetPrice = {"flops": flops, "stages": shares}
    if purchase is not None:
        speed = device_speed(purchase.hardware, purchase.mfu)
        hours = sum(speed.seconds(share["flops"], share["steps"]) for share in shares) / 3600
        rent = purchase.hardware.usd_per_hour if purchase.usd_per_hour is None else purchase.usd_per_hour
        document |= {"device_hours": hours, "usd": hours * rent}
    return document


def _hardware_lines(document: StepPrice) -> list[str]:
    if "hardware" not in document:
        return []
    device = document["hardware"]
    times = ", ".join(f"{stage['name']} {stage['device_seconds']:.3g} s" for stage in document["stages"])
    beside = beside_products(device["accelerator"]) if device["step_seconds"] else ""
    return [
        "",
        f"{device['name']}: {device['peak_flops']:.4g} FLOP/s peak at MFU {device['mfu']:g} ({device['mfu_source']})"
        f"{beside}, {device['usd_per_hour']:g} USD an hour ({device['usd_source']}); a step: {times}",
    ]


def _budget_lines(document: StepPrice) -> list[str]:
    if "budget" not in document:
        return []
    budget = document["budget"]
    lines = ["", f"a budget of {budget['flops']:.4g} FLOPs:"]
    lines += [
        f"  {stage['name']:<20}{stage['flops']:>12.4g} FLOPs, {stage['steps']:.4g} steps,"
        f" {stage['audio_hours']:.4g} h of audio"
        for stage in budget["stages"]
    ]
    if "device_hours" in budget:
        lines.append(f"  {budget['device_hours']:.4g} device-hours, {budget['usd']:.4g} USD")
    return lines
