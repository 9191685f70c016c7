"""`asr-scaling flops`: what a training step costs."""

from typing import Annotated

import typer

from scaling.cost.number_option import NumberOption
from scaling.system.console import emit
from sweeps.cli.options import JsonOption


def flops(
    encoder: Annotated[str, typer.Option(help="A shipped row, a hub name, a Hugging Face directory or a config.json.")],
    llm: Annotated[str, typer.Option(help="As --encoder.")],
    strategy: Annotated[str, typer.Option(help="A preset strategy.")] = "efin",
    audio_seconds: Annotated[float, NumberOption(help="Length of each utterance.")] = 5.0,
    text_tokens: Annotated[int, typer.Option(help="Target tokens of each utterance, the end token among them.")] = 20,
    prompt_tokens: Annotated[int, typer.Option(help="LLM positions beside speech and text.")] = 0,
    decoder_prompt_tokens: Annotated[int, typer.Option(help="ASR decoder positions beside start token and text.")] = 0,
    batch: Annotated[int, typer.Option(help="Utterances in one step.")] = 1,
    beams: Annotated[int, typer.Option(help="Beams when decoding.")] = 1,
    stack: Annotated[int | None, typer.Option(help="Encoder frames in a speech token; default: 12.5 tokens/s.")] = None,
    projector_hidden: Annotated[
        int | None, typer.Option(help="Width inside the projector; default: the LLM's.")
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Rank of the LLM's adapters; default: 8.")] = None,
    lora_targets: Annotated[str | None, typer.Option(help="Adapted layers, by comma; default: all linear.")] = None,
    budget: Annotated[float | None, NumberOption(help="FLOPs to divide over the stages.")] = None,
    hardware: Annotated[str | None, typer.Option(help="h100-sxm, h200, a100-80g, rtx4090 or cpu.")] = None,
    mfu: Annotated[float | None, NumberOption(help="Share of the device's peak that training reaches.")] = None,
    usd_per_hour: Annotated[float | None, NumberOption(help="Price of a device-hour.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what one training step costs, by stage and part, without weights or data."""
    from sweeps.costs.step_price import PricedStep, price_step, step_price_text
    from sweeps.costs.tariff import purchase_of

    step = PricedStep(
        encoder=encoder,
        llm=llm,
        strategy=strategy,
        audio_seconds=audio_seconds,
        text_tokens=text_tokens,
        prompt_tokens=prompt_tokens,
        decoder_prompt_tokens=decoder_prompt_tokens,
        batch=batch,
        beams=beams,
        stack=stack,
        hidden=projector_hidden,
        lora_rank=lora_rank,
        lora_targets=None if lora_targets is None else lora_targets.split(","),
    )
    document = price_step(step, budget_flops=budget, purchase=purchase_of(hardware, mfu, usd_per_hour))
    emit(document if as_json else step_price_text(document))
