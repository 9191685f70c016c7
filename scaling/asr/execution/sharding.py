"""An LLM that is too large for one device: every rank holds a shard of each of its tensors, gathered when needed.

This is fully sharded data parallelism (torch's FSDP2), a layer at a time; embeddings, last norm and head are one more
group, which stays gathered for a whole step. Frozen weights are sharded like trained ones. Encoder and projector are
replicated on every rank. Each rank reads the whole LLM into its machine's memory first, and copies its shards to its
device.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from scaling.asr.model.recognizer import Recognizer


def shard_llm(model: Recognizer, size: int, device: torch.device) -> Recognizer:
    """Shard the LLM over `size` ranks, whose backward passes sum its gradients; the rest is replicated on `device`."""
    assert model.llm is not None
    mesh = init_device_mesh(device.type, (size,))
    llm_parameters = {*model.llm.parameters()}
    layers = list(model.llm.get_decoder().layers)
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    replicated = {p for p in model.parameters() if p not in llm_parameters and not is_sharded(p)}
    fully_shard(model, mesh=mesh, ignored_params=replicated)
    for module in (model, *layers):
        assert isinstance(module, FSDPModule)
        module.set_gradient_divide_factor(1.0)  # sums: the loss is divided by the target tokens of all ranks
        module.set_force_sum_reduction_for_comms(True)  # gloo supports no other reduction
    for method in ("loss", "llm_losses", "with_gathered_weights"):
        register_fsdp_forward_method(model, method)
    return model.to(device)


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a shard, of which other ranks hold the rest."""
    return isinstance(tensor, DTensor)


def gather(tensor: Tensor) -> Tensor:
    """The unsharded tensor; all ranks must call this. A plain tensor is returned as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """An unsharded tensor on the device of `like`, and sharded where `like` is."""
    on_device = tensor.to(like.device)
    return distribute_tensor(on_device, like.device_mesh, like.placements) if isinstance(like, DTensor) else on_device


def clip_gradients(trained: Sequence[nn.Parameter], norm: float) -> None:
    """Scale all gradients so that their joint norm is at most `norm`."""
    plain, sharded = ([p for p in trained if is_sharded(p) is wanted] for wanted in (False, True))
    if not sharded:
        nn.utils.clip_grad_norm_(plain, norm)
        return
    norms = [gather(nn.utils.get_total_norm([p.grad for p in part if p.grad is not None])) for part in (plain, sharded)]
    total = torch.linalg.vector_norm(torch.stack(norms))
    for part in (plain, sharded):
        nn.utils.clip_grads_with_norm_(part, norm, total)
