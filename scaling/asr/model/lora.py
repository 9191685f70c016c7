"""LoRA adapters: PEFT's layers, with fewer passes over memory."""

from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear, LoraLayer
from torch import Tensor, nn

from scaling.spec import LoraSpec


def add_lora(host: nn.Module, lora: LoraSpec) -> None:
    """Put adapters on the target layers in `host`: A is drawn from torch's generator, B is zero."""
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0, bias="none"
    )
    config._register_custom_module({nn.Linear: LoraLinear})
    inject_adapter_in_model(config, host)


def has_lora(host: nn.Module) -> bool:
    """Whether layers in `host` have adapters that are not merged."""
    return any(isinstance(module, LoraLayer) for module in host.modules())


def merge_lora(host: nn.Module) -> None:
    """Merge the adapters in `host` into the weights that they adapt; plain layers remain."""
    for name, layer in list(host.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(host.get_submodule(parent), leaf, layer.get_base_layer())


class LoraLinear(Linear):  # type: ignore[misc]
    """x (..., in) to (..., out): base(x) + B(scaling * A(x)).

    PEFT's own layer scales the output of B, which is as wide as the layer, forward and backward, and casts x to fp32
    for A, which autocast undoes. The outputs are the same bits where the scaling is a power of two, else equal to
    rounding.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        (adapter,) = self.active_adapters
        narrow = self.lora_A[adapter](x) * self.scaling[adapter]
        output: Tensor = self.base_layer(x) + self.lora_B[adapter](narrow)
        return output
