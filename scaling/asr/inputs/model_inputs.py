"""Batches of one manifest for a model, as features or as outputs of its frozen encoder, each computed once.

On a CPU a frozen encoder encodes utterances in groups (`scaling.asr.inputs.encoder_groups`), in which nothing is
padded: an output has the same bits whoever computes it, and whenever. On an accelerator, where short kernels are bound
by their launch, it encodes the outputs that a batch lacks as one padded batch: they are the same to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from scaling.arrays import IntArray
from scaling.asr.execution.precision import autocast
from scaling.asr.inputs.dataset import Examples, SpeechDataset
from scaling.asr.inputs.encoder_groups import EncoderGroups
from scaling.asr.inputs.encoder_output_cache import CachedOutputs
from scaling.asr.model.padding import without_padding
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.spec import Precision


@dataclass(frozen=True, slots=True, eq=False)
class ModelInputs:
    """Batches of `dataset` for `model`, whose matrix products have `precision`.

    `cache` is None where the encoder trains, which outdates its outputs at once. A frozen encoder encodes `groups`;
    None stands for padded batches.
    """

    model: Recognizer
    dataset: SpeechDataset
    precision: Precision = Precision.FP32
    groups: EncoderGroups | None = None
    cache: CachedOutputs | None = None

    def read(self, indices: Sequence[int] | IntArray, epoch: int = 0) -> Examples:
        """Features and targets, without features whose encoder output is cached. Any thread may call this."""
        return self.dataset.examples(indices, self.cache or (), epoch)

    def batch(self, examples: Examples) -> Batch:
        """The model's input for these examples, on its device."""
        device = next(self.model.parameters()).device
        if self.cache is None:
            features = [mel_MT for mel_MT in examples.features if mel_MT is not None]
            return Batch.padded(features, device, *_targets(examples, device))
        outputs = self._outputs(examples, self.cache, device)
        lengths_B = torch.tensor([len(output) for output in outputs], device=device)
        memory_BSE = pad_sequence(outputs, batch_first=True)
        no_features = torch.empty(len(outputs), 0, 0, device=device)
        return Batch(no_features, torch.zeros_like(lengths_B), *_targets(examples, device), (memory_BSE, lengths_B))

    def _outputs(self, examples: Examples, cache: CachedOutputs, device: torch.device) -> list[Tensor]:
        """The encoder's output (S, E) of each example, on `device`."""
        outputs = {index: cache.get(index) for index in examples.indices}
        read = dict(zip(examples.indices, examples.features, strict=True))
        while missing := [index for index, output in outputs.items() if output is None]:
            group = missing if self.groups is None else self.groups.group_of(missing[0])
            encoded = self._encode([self._features(index, read) for index in group], device)
            for index, output in zip(group, encoded, strict=True):
                cache.put(index, output)
                if index in outputs:
                    outputs[index] = output
        return [output.to(device) for output in outputs.values() if output is not None]

    def _features(self, index: int, read: Mapping[int, Tensor | None]) -> Tensor:
        """Features of an utterance: those read with the batch, else computed now.

        They were not read with the batch where the utterance is not in it, or where its output was cached at that time
        and has been cleared since.
        """
        mel_MT = read.get(index)
        return self.dataset.features(index) if mel_MT is None else mel_MT

    @torch.no_grad()
    def _encode(self, features: Sequence[Tensor], device: torch.device) -> list[Tensor]:
        with autocast(self.precision, device):
            hidden_BSE, lengths_B = self.model.encode(Batch.padded(features, device))
        if self.precision is Precision.BF16:
            hidden_BSE = hidden_BSE.bfloat16()  # as every product that reads the output would round it
        return [output_SE.clone() for output_SE in without_padding(hidden_BSE, lengths_B)]


def _targets(examples: Examples, device: torch.device) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    return _copied(examples.asr_targets, device), _copied(examples.llm_targets, device)


def _copied(targets: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """Targets on `device`, copied to it all at once."""
    return torch.split(torch.cat(list(targets)).to(device), [len(target) for target in targets])
