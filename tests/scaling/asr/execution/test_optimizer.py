"""AdamW over flat tensors, against torch's own over the parameters as they are."""

import torch
from torch import nn

from scaling.asr.execution.optimizer import FlatAdamW
from scaling.asr.execution.sharding import clip_gradients
from scaling.spec import Objective, Optimization, Part, Stage

OPTIMIZATION = Optimization(
    batch_audio_seconds=1.0, warmup_steps=0, cooldown=0.0, beta1=0.9, beta2=0.98, weight_decay=0.1, clip_norm=0.5
)
RATES = ((Part.ENCODER, 0.01), (Part.PROJECTOR, 0.03))


def stage() -> Stage:
    return Stage(name="joint", objective=Objective.LLM, trains=RATES, share=1.0, flops=None, optimization=OPTIMIZATION)


def model() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {Part.ENCODER: nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7)), Part.PROJECTOR: nn.Linear(7, 3)}
    )


def parts(of: nn.ModuleDict) -> dict[Part, list[nn.Parameter]]:
    return {part: list(of[part].parameters()) for part, _ in RATES}


def loss(of: nn.ModuleDict, step: int) -> torch.Tensor:
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(step))
    return of[Part.PROJECTOR](of[Part.ENCODER](x)).square().sum()


def step_flat(of: nn.ModuleDict, optimizer: FlatAdamW, step: int) -> None:
    optimizer.zero_grad()
    loss(of, step).backward()
    clip_gradients(optimizer.tensors, OPTIMIZATION.clip_norm)
    optimizer.step()


def test_flat_steps_are_those_of_torch_over_each_parameter():
    flat, plain = model(), model()
    ours = FlatAdamW(stage(), parts(flat))
    groups = [
        {"params": [p for p in plain[part].parameters() if (p.ndim > 1) == matrices], "lr": rate, "weight_decay": decay}
        for part, rate in RATES
        for matrices, decay in ((True, OPTIMIZATION.weight_decay), (False, 0.0))
    ]
    theirs = torch.optim.AdamW(groups, betas=(OPTIMIZATION.beta1, OPTIMIZATION.beta2))
    for step in range(20):
        step_flat(flat, ours, step)
        theirs.zero_grad()
        loss(plain, step).backward()
        nn.utils.clip_grad_norm_(list(plain.parameters()), OPTIMIZATION.clip_norm)
        theirs.step()
    for mine, other in zip(flat.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-5, atol=1e-6)
        assert ours.moments(mine).keys() == theirs.state[other].keys()
        for name, moment in ours.moments(mine).items():
            assert torch.allclose(moment, theirs.state[other][name], rtol=1e-4, atol=1e-7)


def test_an_optimizer_restored_by_parameter_goes_on_with_the_same_bits():
    whole = model()
    optimizer = FlatAdamW(stage(), parts(whole))
    for step in range(6):
        step_flat(whole, optimizer, step)
        if step == 2:
            other = model()
            other.load_state_dict(whole.state_dict())
            moments = [
                {name: value.clone() for name, value in optimizer.moments(p).items()} for p in whole.parameters()
            ]
    restored = FlatAdamW(stage(), parts(other))
    for parameter, found in zip(other.parameters(), moments, strict=True):
        restored.restore(parameter, found)
    for step in range(3, 6):
        step_flat(other, restored, step)
    for mine, theirs in zip(other.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_nothing_is_remembered_before_the_first_step_and_few_tensors_hold_everything():
    fresh = model()
    optimizer = FlatAdamW(stage(), parts(fresh))
    assert [optimizer.moments(parameter) for parameter in fresh.parameters()] == [{}] * 6
    assert len(optimizer.tensors) == 4  # two rates, each with and without decay
