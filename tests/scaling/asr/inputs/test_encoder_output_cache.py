"""Outputs of frozen encoders: kept within bounds, given back bit for bit, gone with the worker."""

import os

import pytest
import torch

from scaling.asr.inputs.encoder_output_cache import EncoderOutputCache
from scaling.ledger.plan_file import CacheLimits
from scaling.system.cache import cache_dir

SIZE = 4 * 5 * 8
"""Bytes of one output below."""


def output(index: int) -> torch.Tensor:
    return torch.randn(5, 8, generator=torch.Generator().manual_seed(index))


def kept(memory: int, disk: int) -> EncoderOutputCache:
    """Room for so many outputs."""
    return EncoderOutputCache(CacheLimits(memory_gib=memory * SIZE / 2**30, disk_gib=disk * SIZE / 2**30))


def fill(state, count: int) -> list[int]:
    """Put outputs 0, 1, ...; those that are there afterwards."""
    for index in range(count):
        state.put(index, output(index))
    return [index for index in range(count) if index in state]


@pytest.mark.parametrize(("memory", "disk"), [(9, 0), (0, 9), (4, 5)])
def test_what_fits_comes_back_bit_for_bit_and_what_does_not_is_not_kept(memory, disk):
    state = kept(memory, disk).state("a")
    assert fill(state, 12) == list(range(9))
    for index in range(12):
        found = state.get(index)
        assert (found is None) if index >= 9 else torch.equal(found, output(index))
    assert (state.memory_bytes, state.disk_bytes) == (memory * SIZE, disk * SIZE)


def test_half_precision_comes_back_as_it_was():
    state = kept(0, 4).state("a")
    state.put(0, output(0).bfloat16())
    assert torch.equal(state.get(0), output(0).bfloat16())


def test_the_state_longest_not_asked_for_gives_way():
    of = kept(2, 2)
    old, newer = of.state("old"), of.state("newer")
    assert fill(old, 2) == [0, 1]
    assert fill(newer, 2) == [0, 1]
    of.state("old")
    assert fill(of.state("newest"), 2) == [0, 1]
    assert (0 in old, 0 in newer) == (True, False)


def test_a_state_never_drives_out_itself():
    state = kept(2, 1).state("a")
    assert fill(state, 9) == [0, 1, 2]


def test_files_have_no_name_that_could_be_left_behind():
    state = kept(0, 9).state("a")
    assert fill(state, 9) == list(range(9))
    assert not [path for path in cache_dir().iterdir() if path.is_file()]


def test_a_disk_that_refuses_is_no_error(monkeypatch):
    state = kept(1, 9).state("a")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert fill(state, 3) == [0]
