"""An LLM that no device holds alone: every rank keeps a share of each of its tensors, gathered where they are used.

Fully sharded data parallelism (torch's FSDP2), a layer at a time; embeddings, last norm and head are one group more,
gathered for a whole step. Frozen weights are sharded like trained ones. Encoder and projector stay whole on every rank.
Each rank reads the whole LLM into its machine's memory first, and hands it to its device share by share.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from scaling.asr.model.recognizer import Recognizer


def shard(model: Recognizer, size: int, device: torch.device) -> Recognizer:
    """Spread the LLM over `size` ranks, the rest whole on `device`. The LLM's backward pass adds up its gradients."""
    assert model.llm is not None
    mesh = init_device_mesh(device.type, (size,))
    ours = {*model.llm.parameters()}
    layers = list(model.llm.get_decoder().layers)
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh, ignored_params={p for p in model.parameters() if p not in ours and not is_sharded(p)})
    for module in (model, *layers):
        assert isinstance(module, FSDPModule)
        module.set_gradient_divide_factor(1.0)  # sums: the loss is divided by the target tokens of all ranks
        module.set_force_sum_reduction_for_comms(True)  # and gloo knows no other way
    for method in ("loss", "with_gathered_weights"):
        register_fsdp_forward_method(model, method)
    return model.to(device)


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor holds this rank's share alone."""
    return isinstance(tensor, DTensor)


def gather(tensor: Tensor) -> Tensor:
    """A tensor with the shares of all ranks, which must all ask for it; a plain one as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor as `like` is: this rank's share of it, or all, on the same device."""
    here = tensor.to(like.device)
    return distribute_tensor(here, like.device_mesh, like.placements) if isinstance(like, DTensor) else here


def clip_gradients(trained: Sequence[nn.Parameter], norm: float) -> None:
    """Scale all gradients so that the norm of them together is at most `norm`."""
    plain, shared = ([p for p in trained if is_sharded(p) is of] for of in (False, True))
    if not shared:
        nn.utils.clip_grad_norm_(plain, norm)
        return
    norms = [gather(nn.utils.get_total_norm([p.grad for p in part if p.grad is not None])) for part in (plain, shared)]
    together = torch.linalg.vector_norm(torch.stack(norms))
    for part in (plain, shared):
        nn.utils.clip_grads_with_norm_(part, norm, together)
