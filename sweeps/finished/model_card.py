"""The card of an exported recogniser: what it is, what it cost, how wrong it was. No paths, hosts or transcripts."""

from sweeps.finished.card_snippets import snippet
from sweeps.finished.find_run import TrainedRun

TEMPLATE = """\
---
library_name: asr-scaling
pipeline_tag: automatic-speech-recognition
---

# {{ row.encoder }} + {{ row.llm }}, {{ row.strategy }} at {{ "%.4g" % row.budget_flops }} FLOPs

A speech recogniser: {{ row.encoder }} (encoder of {{ "{:,}".format(row.encoder_params) }} parameters
{%- if has_llm %}), a projector that joins {{ node.model.stack }} frames and has a hidden width of \
{{ node.model.hidden }}, and {{ row.llm }} ({{ "{:,}".format(row.llm_params) }} parameters with embeddings). \
Digests of the base models: encoder `{{ node.model.encoder }}`, LLM `{{ node.model.llm }}`; their licences go on to \
hold.
{%- else %}, decoder of {{ "{:,}".format(row.asr_decoder_params) }}). Digest of the base model: \
`{{ node.model.encoder }}`; its licence goes on to hold.
{%- endif %}

## Errors

| test set | utterances | characters | errors | CER |
|---|---|---|---|---|
{%- for name, test in row.test.items() %}
| {{ name }} | {{ test.n_utterances }} | {{ test.ref_chars }} | {{ test.errors }} | {{ "%.4f" % test.cer }} |
{%- endfor %}

CER on dev, on which runs are chosen: {{ "%.4f" % row.dev_cer }}.

## Training

| stage | objective | trains (peak rate) | FLOPs | steps | audio h |
|---|---|---|---|---|---|
{%- for stage in row.stages %}
| {{ stage.name }} | {{ stage.objective }} | \
{% for part, rate in stage.trains.items() %}{{ part }} ({{ "%.3g" % rate }}){{ ", " if not loop.last }}{% endfor %} | \
{{ "%.4g" % stage.flops }} | {{ stage.steps }} | {{ "%.3g" % (stage.audio_seconds / 3600) }} |
{%- endfor %}

Charged {{ "%.6g" % row.flops }} FLOPs (real lengths, forward and backward), executed \
{{ "%.6g" % row.executed_flops }} (padding and all); pretraining of the base models: \
{{ "unknown" if row.pretrain_flops is none else "%.4g" % row.pretrain_flops }}.

Data, by content: train `{{ node.data.train }}` ({{ "%.4g" % row.train_hours }} h), dev `{{ node.data.dev }}`. Seed \
{{ row.seed }}, {{ row.precision }}, language `{{ node.data.language }}`, prompt `{{ node.data.prompt }}`.

## Files

- `encoder/`: the speech model with its own decoder or CTC head; it hears speech unpadded, padded positions masked
{%- if has_llm %}
- `llm/`: the causal LM, adapters merged
- `projector.safetensors`: `fc1`, GELU, `fc2` on joined encoder frames
{%- endif %}
- `recognizer.json`: how they fit together

## Use

`asr-scaling transcribe FOLDER AUDIO...` transcribes with it as the run was tested, in pieces where a recording is long.
`recognizer.json` has the tokens before speech and text and the end token, prompt, stack, language and scoring.
{%- if snippet and has_llm %} Without this project it takes transformers, safetensors and soundfile:
{%- elif snippet %} `encoder/` is a Whisper of its own, which needs transformers and soundfile alone. Whisper pads \
speech to 30 s, which this run was not trained on: texts may differ.
{%- endif %}
{%- if snippet %}

```python
{{ snippet }}```
{%- endif %}

Run `{{ row.key }}` of study {{ row.study }}; {{ versions | join(", ") }}.
"""
"""Markdown, with the front matter that model hubs read; the `\\` at the end of a line joins the next one."""


def model_card(run: TrainedRun) -> str:
    """The text of the card."""
    import jinja2

    provenance, has_llm = run.row.provenance, run.node.stage.objective == "llm"
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(TEMPLATE)
    return template.render(
        row=run.row,
        node=run.node,
        has_llm=has_llm,
        snippet=snippet(run.encoder, has_llm=has_llm),
        versions=[f"{name} {provenance[name]}" for name in ("torch", "transformers") if name in provenance],
    )
