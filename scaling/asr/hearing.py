"""How a model hears one manifest: as features, or through what its frozen encoder made of them once.

On a CPU a frozen encoder hears utterances one by one: nothing is padded, and its output is a function of the utterance
and the encoder's weights, the same bits whoever computes it and whenever. On an accelerator, where short kernels are
bound by their launch, it hears what a batch lacks as one padded batch: the same to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from scaling.asr.data import Speech, Utterances
from scaling.asr.kept import KeptState
from scaling.asr.model import Batch, Recognizer
from scaling.asr.precision import products
from scaling.spec import Precision
from scaling.strings import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """Batches of `speech` for `model`. `kept` is None where the encoder trains: its outputs are outdated at once.

    `precision` is that of all products of the model. `one_by_one` is how a frozen encoder hears.
    """

    model: Recognizer
    speech: Speech
    precision: Precision = Precision.FP32
    one_by_one: bool = True
    kept: KeptState | None = None

    def read(self, indices: Sequence[int] | IntArray, epoch: int = 0) -> Utterances:
        """Features and targets of some utterances, without features whose encoder output is kept. For any thread."""
        return self.speech.utterances(indices, self.kept or (), epoch)

    def batch(self, utterances: Utterances) -> Batch:
        """What the model reads of them, on its device."""
        device = next(self.model.parameters()).device
        if self.kept is None:
            mels = [mel for mel in utterances.mels if mel is not None]
            return Batch.padded(mels, device, *_targets(utterances, device))
        outputs = self._outputs(utterances, self.kept, device)
        lengths_B = torch.tensor([len(output) for output in outputs], device=device)
        memory_BSE = pad_sequence(outputs, batch_first=True)
        nothing = torch.empty(len(outputs), 0, 0, device=device)
        return Batch(nothing, torch.zeros_like(lengths_B), *_targets(utterances, device), (memory_BSE, lengths_B))

    def _outputs(self, utterances: Utterances, kept: KeptState, device: torch.device) -> list[Tensor]:
        """The encoder's output (S, E) of each utterance, on `device`."""
        outputs = [kept.get(index) for index in utterances.indices]
        lacking = [place for place, output in enumerate(outputs) if output is None]
        groups = [[place] for place in lacking] if self.one_by_one else [lacking] if lacking else []
        for group in groups:
            heard = self._encode([self._features(utterances, place) for place in group], device)
            for place, output in zip(group, heard, strict=True):
                outputs[place] = output
                kept.put(utterances.indices[place], output)
        return [output.to(device) for output in outputs if output is not None]

    def _features(self, utterances: Utterances, place: int) -> Tensor:
        mel = utterances.mels[place]
        # The output was kept when the utterance was read, so its features were left out; it has given way since.
        return self.speech.mel(utterances.indices[place]) if mel is None else mel

    @torch.no_grad()
    def _encode(self, mels: Sequence[Tensor], device: torch.device) -> list[Tensor]:
        with products(self.precision, device):
            hidden_BSE, lengths_B = self.model.encode(Batch.padded(mels, device))
        if self.precision is Precision.BF16:
            hidden_BSE = hidden_BSE.bfloat16()  # as every product that reads it would round it
        return [hidden_SE[:length].clone() for hidden_SE, length in zip(hidden_BSE, lengths_B.tolist(), strict=True)]


def _targets(utterances: Utterances, device: torch.device) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    return _there(utterances.asr_targets, device), _there(utterances.llm_targets, device)


def _there(targets: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """Targets on `device`, brought there in one copy."""
    return torch.split(torch.cat(list(targets)).to(device), [len(target) for target in targets])
