"""Programs of at most 20 lines that use an exported recogniser without this project, one for each kind of export."""

from scaling.base_models.encoders import EncoderDims
from scaling.base_models.encoders.parakeet import ParakeetDims
from scaling.base_models.encoders.qwen3_asr import Qwen3AsrDims
from scaling.base_models.encoders.whisper import WhisperDims, WhisperEncoderDims

WHISPER = """\
import json
import soundfile, torch
from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

folder, audio = ".", "audio.wav"  # 16 kHz, one channel, at most 30 s
whisper = WhisperForConditionalGeneration.from_pretrained(f"{folder}/encoder").eval()
extractor = WhisperFeatureExtractor.from_pretrained(f"{folder}/encoder")
tokens = json.load(open(f"{folder}/recognizer.json"))["asr_tokens"]
samples, rate = soundfile.read(audio, dtype="float32")
features = extractor(samples, sampling_rate=rate, return_tensors="pt").input_features
prefix = torch.tensor([tokens["prefix"]])
ids = whisper.generate(features, decoder_input_ids=prefix, eos_token_id=tokens["end"], max_new_tokens=200)
print(AutoTokenizer.from_pretrained(f"{folder}/encoder").decode(ids[0], skip_special_tokens=True))
"""
"""An encoder-decoder that transcribes by itself."""

_LLM = """\
import json, soundfile, torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, linear, pad
from transformers import %(classes)s, AutoModelForCausalLM, AutoTokenizer
how, weights = json.load(open("recognizer.json")), load_file("projector.safetensors")  # run it where these files are
samples, rate = soundfile.read("audio.wav", dtype="float32")  # 16 kHz, one channel
%(encode)s
x = pad(%(norm)s, (0, 0, 0, -x.shape[1] %% how["stack"])).reshape(1, -1, how["stack"] * x.shape[2])
x = linear(gelu(linear(x, weights["fc1.weight"], weights["fc1.bias"])), weights["fc2.weight"], weights["fc2.bias"])
llm, tokens = AutoModelForCausalLM.from_pretrained("llm", dtype=torch.float32), how["llm_tokens"]
before, prefix = (torch.tensor([tokens[name]], dtype=torch.long) for name in ("before", "prefix"))
x = torch.cat([llm.get_input_embeddings()(before), x, llm.get_input_embeddings()(prefix)], 1)
ids = llm.generate(inputs_embeds=x, eos_token_id=tokens["end"], do_sample=False, max_new_tokens=200)
print(AutoTokenizer.from_pretrained("llm").decode(ids[0], skip_special_tokens=True))
"""

_BY_WHISPER = """\
extractor = WhisperFeatureExtractor.from_pretrained("encoder")
x = extractor(samples, sampling_rate=rate, padding="longest", return_tensors="pt").input_features
encoder = %s.from_pretrained("encoder")%s  # its own forward hears 30 s and nothing else
x = gelu(encoder.conv2(gelu(encoder.conv1(x)))).transpose(1, 2)
x = x + encoder.embed_positions.weight[: x.shape[1]]
for layer in encoder.layers:
    x = layer(x, None)"""

_BY_CTC = """\
found = AutoFeatureExtractor.from_pretrained("encoder")(samples, sampling_rate=rate, return_tensors="pt")
x = %(features)s
x = AutoModelForCTC.from_pretrained("encoder").%(encoder)s(x).last_hidden_state"""

_BY_QWEN3_ASR = """\
extractor = Qwen3ASRFeatureExtractor.from_pretrained("encoder", min_length=0)
found = extractor(samples, sampling_rate=rate, padding="longest", return_attention_mask=True, return_tensors="pt")
x = Qwen3ASREncoder.from_pretrained("encoder")(found.input_features, found.attention_mask).last_hidden_state[None]"""


def snippet(encoder: EncoderDims, *, has_llm: bool) -> str | None:
    """The program for an export; None where a CTC head transcribes by itself, whose tokens models keep as they like."""
    if not has_llm:
        return WHISPER if isinstance(encoder, WhisperDims) else None
    if isinstance(encoder, WhisperEncoderDims):
        whole = isinstance(encoder, WhisperDims)
        loaded = ("WhisperModel", ".encoder") if whole else ("VoxtralEncoder", "")
        return _LLM % {
            "classes": f"WhisperFeatureExtractor, {loaded[0]}",
            "encode": _BY_WHISPER % loaded,
            "norm": "encoder.layer_norm(x)",
        }
    if isinstance(encoder, Qwen3AsrDims):
        return _LLM % {"classes": "Qwen3ASREncoder, Qwen3ASRFeatureExtractor", "encode": _BY_QWEN3_ASR, "norm": "x"}
    waves = encoder.input_features == 1
    features = "found.input_values" if waves else "found.input_features[:, found.attention_mask[0].bool()]"
    module = "encoder" if isinstance(encoder, ParakeetDims) else "base_model"
    return _LLM % {
        "classes": "AutoFeatureExtractor, AutoModelForCTC",
        "encode": _BY_CTC % {"features": features, "encoder": module},
        "norm": "x",
    }
