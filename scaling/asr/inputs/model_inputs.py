"""How a model hears one manifest: as features, or through what its frozen encoder made of them once.

On a CPU a frozen encoder hears utterances in groups (`scaling.asr.inputs.encoder_groups`) in which nothing is padded: an output is the
same bits whoever computes it and whenever. On an accelerator, where short kernels are bound by their launch, it hears
what a batch lacks as one padded batch: the same to rounding.
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
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.spec import Precision


@dataclass(frozen=True, slots=True, eq=False)
class ModelInputs:
    """Batches of `speech` for `model`. `kept` is None where the encoder trains: its outputs are outdated at once.

    `precision` is that of all products of the model. A frozen encoder hears `groups`; None stands for padded batches.
    """

    model: Recognizer
    dataset: SpeechDataset
    precision: Precision = Precision.FP32
    groups: EncoderGroups | None = None
    kept: CachedOutputs | None = None

    def read(self, indices: Sequence[int] | IntArray, epoch: int = 0) -> Examples:
        """Features and targets of some examples, without features whose encoder output is kept. For any thread."""
        return self.dataset.examples(indices, self.kept or (), epoch)

    def batch(self, examples: Examples) -> Batch:
        """What the model reads of them, on its device."""
        device = next(self.model.parameters()).device
        if self.kept is None:
            mels = [mel for mel in examples.features if mel is not None]
            return Batch.padded(mels, device, *_targets(examples, device))
        outputs = self._outputs(examples, self.kept, device)
        lengths_B = torch.tensor([len(output) for output in outputs], device=device)
        memory_BSE = pad_sequence(outputs, batch_first=True)
        nothing = torch.empty(len(outputs), 0, 0, device=device)
        return Batch(nothing, torch.zeros_like(lengths_B), *_targets(examples, device), (memory_BSE, lengths_B))

    def _outputs(self, examples: Examples, kept: CachedOutputs, device: torch.device) -> list[Tensor]:
        """The encoder's output (S, E) of each utterance, on `device`."""
        outputs = {index: kept.get(index) for index in examples.indices}
        read = dict(zip(examples.indices, examples.features, strict=True))
        while lacking := [index for index, output in outputs.items() if output is None]:
            group = lacking if self.groups is None else self.groups.group_of(lacking[0])
            heard = self._encode([self._mel(index, read) for index in group], device)
            for index, output in zip(group, heard, strict=True):
                kept.put(index, output)
                if index in outputs:
                    outputs[index] = output
        return [output.to(device) for output in outputs.values() if output is not None]

    def _mel(self, index: int, read: Mapping[int, Tensor | None]) -> Tensor:
        """Features of an utterance: as they were read with the batch, else anew.

        They were not read where the batch lacks the utterance, or where its output was kept then and has given way.
        """
        mel = read.get(index)
        return self.dataset.features(index) if mel is None else mel

    @torch.no_grad()
    def _encode(self, mels: Sequence[Tensor], device: torch.device) -> list[Tensor]:
        with autocast(self.precision, device):
            hidden_BSE, lengths_B = self.model.encode(Batch.padded(mels, device))
        if self.precision is Precision.BF16:
            hidden_BSE = hidden_BSE.bfloat16()  # as every product that reads it would round it
        return [hidden_SE[:length].clone() for hidden_SE, length in zip(hidden_BSE, lengths_B.tolist(), strict=True)]


def _targets(examples: Examples, device: torch.device) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    return _there(examples.asr_targets, device), _there(examples.llm_targets, device)


def _there(targets: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """Targets on `device`, brought there in one copy."""
    return torch.split(torch.cat(list(targets)).to(device), [len(target) for target in targets])
