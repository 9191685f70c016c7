"""What a worker does with a node: claim it, train it, and record its result or its failure."""

import os
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from functools import cached_property
from typing import Any

import torch
import transformers

from scaling.asr.divergence import Diverged
from scaling.asr.execution.device_memory import OutOfMemory
from scaling.asr.execution.out_of_memory_retries import micro_batches_of, record_out_of_memory
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks, is_connection_error
from scaling.asr.node import run_node
from scaling.asr.resources import Sources, WorkerResources
from scaling.asr.train import Interrupted
from scaling.errors import InputError
from scaling.ledger.ledger import Attempt, Ledger, LostLease
from scaling.ledger.plan_file import PlanFile
from scaling.ledger.queue import Heartbeat
from scaling.ledger.records import Event
from scaling.spec import StageNode
from scaling.system.console import log, log_once
from scaling.system.own_code import python_module

FULL_DISK_SECONDS = 5.0
"""Pause between tries while the disk is full (assumption)."""

FULL_DISK_WORDS = ("No space left on device", "Disk quota exceeded")
"""Words by which errors tell of a full disk: some libraries hide the system's error number."""

IDLE, LEAVE = ("", 0), ("", 1)
"""What the first rank broadcasts when it has claimed no node: the others wait, or leave. No node has such a key."""

KILLED = (-9, 137)
"""Exit codes of a process that SIGKILL ended: for its parent, and behind a shell."""


class Worker:
    """Runs nodes of one plan, one after another; base models and datasets stay in memory between them.

    `stop.asked` turns true when the worker should checkpoint and leave. Of several `ranks` the first claims and
    commits, the others `follow`. After an error that only some ranks have met they are out of step, and all end with
    exit code 1: the launcher starts new ones, which continue the last checkpoint.
    """

    def __init__(self, ledger: Ledger, plan: PlanFile, stop: Any, ranks: Ranks = SINGLE_PROCESS) -> None:
        self._ledger = ledger
        self._plan = plan
        self._session = plan.session
        self._stop = stop
        self._ranks = ranks
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        torch.set_num_threads(plan.threads)

    def take(self, key: str) -> bool:
        """Run the node; returns False if another worker holds it.

        A node that ran out of memory before is run in a process of its own, unless several ranks train together: these
        end together if one of them is killed.
        """
        in_child = self._ledger.memory_failures(key) and self._ranks.size == 1
        return self._run_in_child(key) if in_child else self.run(key)

    def run(self, key: str) -> bool:
        """Claim the node and run it to its result, its failure, or the loss of its lease; False if another holds it."""
        try:
            attempt = self._ledger.claim(key, session=self._session)
        except InputError as error:  # the queue leaves it out from now on
            log_once(f"not trained: {key}: {error}")
            return False
        except OSError as error:
            self._wait_for_space(key, error)
            return False
        if attempt is None:
            return False
        try:
            node, micro_batches = self._ledger.node(key), micro_batches_of(self._plan, self._ledger, key)
        except InputError as error:
            attempt.fail("error", str(error), session=self._session)
            return True
        self.announce((key, attempt.number))
        with Heartbeat(attempt) as heartbeat:
            try:
                self._finish(node, attempt, micro_batches, heartbeat)
                attempt.log(Event(event="done"))
            except (LostLease, Interrupted) as reason:
                with suppress(OSError):  # on a disk that is full or gone, the end of this process frees the node
                    attempt.log(Event(event="left", cause=str(reason)))
                    attempt.release()
            except Diverged as error:
                attempt.fail("diverged", str(error), session=self._session)
            except Exception as error:  # the failure of one node must not end the work on others
                self._record_failure(attempt, node, error)
        return True

    def follow(self) -> None:
        """Run the nodes that the first rank claims, until it leaves."""
        while (claimed := self._ranks.broadcast(IDLE)) != LEAVE:
            if claimed == IDLE:
                continue
            attempt = Attempt(self._ledger, *claimed)
            node = self._ledger.node(attempt.key)
            micro_batches = micro_batches_of(self._plan, self._ledger, attempt.key)
            try:
                run_node(node, attempt, self._resources, 0.0, lambda: self._stop.asked, micro_batches=micro_batches)
            except (Interrupted, Diverged):
                continue
            except Exception as error:
                self._record_failure(attempt, node, error)

    def announce(self, claimed: tuple[str, int]) -> None:
        """Tell the other ranks the node and attempt that the first one has claimed, or `IDLE`, or `LEAVE`."""
        self._ranks.broadcast(claimed)

    def _record_failure(self, attempt: Attempt, node: StageNode, error: Exception) -> None:
        """Record why an attempt ended. Of several ranks the first to fail records it, and all end."""
        if isinstance(error, OutOfMemory):
            self._fail_for_memory(attempt, node, str(error))
        elif self._ranks.size == 1 or not is_connection_error(error):
            attempt.log(Event(event="traceback", text="".join(traceback.format_exception(error))))
            attempt.fail("error", f"{type(error).__name__}: {error}", session=self._session)
        if self._ranks.size > 1:
            raise SystemExit(f"rank {self._ranks.rank}: {type(error).__name__}: {error}") from error

    @cached_property
    def _resources(self) -> WorkerResources:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # `ranks.join` has set a rank's own
        return WorkerResources(
            Sources(self._plan.sources),
            device,
            self._plan.encoder_cache,
            self._ranks,
            gradient_checkpointing=self._plan.gradient_checkpointing,
            compiled=self._plan.compile,
        )

    def _finish(self, node: StageNode, attempt: Attempt, micro_batches: int, heartbeat: Heartbeat) -> None:
        """Train and commit. While the disk is full, keep the lease; then continue the last checkpoint."""
        seconds = self._plan.checkpoint_seconds

        def leave() -> bool:
            return self._stop.asked or heartbeat.lost

        while True:
            try:
                attempt.commit(run_node(node, attempt, self._resources, seconds, leave, micro_batches=micro_batches))
            except (LostLease, Interrupted, Diverged, OutOfMemory):
                raise
            except Exception as error:
                self._wait_for_space(attempt.key, error)
                if self._ranks.size > 1:
                    raise SystemExit("the disk was full: the ranks begin again together") from error
                if leave():
                    raise Interrupted("stopped while the disk was full") from error
            else:
                return

    def _wait_for_space(self, key: str, error: Exception) -> None:
        """Pause before the next try where the disk is full; raise the error where it says anything else."""
        if not any(words in str(error) for words in FULL_DISK_WORDS):
            raise error
        log(f"{key}: {error}; trying again until there is space")
        until = time.monotonic() + FULL_DISK_SECONDS
        while time.monotonic() < until and not self._stop.asked:
            time.sleep(0.1)

    def _run_in_child(self, key: str) -> bool:
        """Free this process's memory and run the node in a process of its own; False where another worker has it."""
        before = len(self._ledger.attempts(key))
        self.__dict__.pop("_resources", None)
        torch.cuda.empty_cache()
        child = subprocess.run([*python_module("scaling.asr"), *sys.argv[1:], "--node", key], check=False)
        attempts = self._ledger.attempts(key)
        if len(attempts) == before:
            return False
        if child.returncode and not self._ledger.done(key) and attempts[-1].over() and not attempts[-1].failure():
            self._record_death(attempts[-1], child.returncode)
        return True

    def _record_death(self, attempt: Attempt, code: int) -> None:
        """Record how a node's own process died. A SIGKILL counts as lack of memory, which ran out here before."""
        if code in KILLED:
            self._fail_for_memory(attempt, self._ledger.node(attempt.key), "killed by SIGKILL in a process of its own")
        else:
            attempt.fail("error", f"its process ended with exit code {code}", session=self._session)

    def _fail_for_memory(self, attempt: Attempt, node: StageNode, cause: str) -> None:
        samples = self._resources.dataset(node, node.data.train).samples
        micro_batches = micro_batches_of(self._plan, self._ledger, attempt.key)
        record_out_of_memory(attempt, node, samples, micro_batches, cause, self._session)
