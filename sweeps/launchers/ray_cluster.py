"""Workers as tasks of a Ray cluster: each runs one worker on some node and returns its exit code.

Ray only starts the workers and says which have ended. It forgets everything when its head dies; the ledger does not.
"""

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import time
import uuid
from contextlib import chdir
from pathlib import Path
from typing import Any

from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.plan_file import PlanFile
from scaling.system.console import log
from scaling.system.contained_files import appending
from scaling.system.own_code import OWN_FOLDER
from scaling.system.parent_death import end_with_parent
from sweeps.launchers.cluster_workers import Snapshot
from sweeps.launchers.worker_command import THREAD_VARIABLES, Command
from sweeps.launchers.worker_exit import ExitKind, WorkerExit, worker_exit
from sweeps.study.schema.worker_fields import RayFields

POLL_SECONDS = 0.2
"""Time between two looks of a task at its worker."""

ANSWER_SECONDS = 5.0
"""How long to wait for a connection; a cluster's head takes one within milliseconds (assumption)."""

PASSED_VARIABLES = ("ASR_SCALING_", "HF_")
"""How the names of the launcher's environment variables begin that workers get; all others are their node's own."""


class RayCluster:
    """The workers of one invocation. They leave when their launcher dies, so the next launcher need not find them."""

    name = "Ray"
    snapshot_seconds = 1.0

    def __init__(self, plan_file: PlanFile, command: Command, fields: RayFields) -> None:
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            with chdir(OWN_FOLDER):  # Ray has its processes import from the current folder of its client, first of all
                ray.init(
                    address=fields.address, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
                )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"Ray cannot be started or joined: {error}") from None
        self._ray = ray
        self._command = list(command)
        self._threads = str(plan_file.threads)
        self._task = ray.remote(num_cpus=fields.cpus or int(self._threads), num_gpus=fields.gpus or 0, max_retries=0)(
            run_worker
        )
        self._logs = plan_file.folder.resolve() / "logs"
        self._logs.mkdir(exist_ok=True)
        self._workers: dict[str, Any] = {}

    def snapshot(self) -> Snapshot | None:
        """Our tasks, and the exits of those that are over."""
        exits = [self._exit_of(name, self._workers.pop(name)) for name in self._ended()]
        running = sum(self._log(name).exists() for name in self._workers)
        queue = f"{running} running, {len(self._workers) - running} waiting for a node"
        return Snapshot(present=len(self._workers), exits=exits, queue=queue)

    def start(self, count: int) -> None:
        """Submit `count` tasks."""
        for _ in range(count):
            name = f"ray-{uuid.uuid4().hex[:8]}"
            passed = {key: value for key, value in os.environ.items() if key.startswith(PASSED_VARIABLES)}
            variables = {**passed, **dict.fromkeys(THREAD_VARIABLES, self._threads), WORKER_NAME: name}
            self._workers[name] = self._task.remote(self._command, str(Path.cwd()), variables, str(self._log(name)))
        log(f"submitted to Ray: {count} workers")

    def withdraw(self, count: int) -> None:
        """Cancel up to `count` tasks that no node has begun."""
        waiting = [name for name in self._workers if not self._log(name).exists()]
        for name in waiting[-count:]:
            self._ray.cancel(self._workers.pop(name))

    def ask_to_leave(self) -> None:
        """Cancel every task; a task that runs sends SIGTERM to its worker and waits for it."""
        for task in self._workers.values():
            self._ray.cancel(task)

    def cancel(self) -> None:
        """End every task, and leave the cluster."""
        for task in self._workers.values():
            self._ray.cancel(task, force=True)
        self._ray.shutdown()

    def _ended(self) -> list[str]:
        tasks = list(self._workers.values())
        done, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0) if tasks else ([], [])
        return [name for name, task in self._workers.items() if task in done]

    def _exit_of(self, name: str, task: Any) -> WorkerExit:
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, TaskCancelledError

        kinds = {
            OutOfMemoryError: ExitKind.OUT_OF_MEMORY,
            NodeDiedError: ExitKind.LOST,
            TaskCancelledError: ExitKind.CANCELLED,
        }
        try:
            return worker_exit(name, self._ray.get(task), self._log(name))
        except RayError as error:
            kind = next((kind for type_, kind in kinds.items() if isinstance(error, type_)), ExitKind.DIED)
            first_line = str(error).splitlines()[:1]
            return WorkerExit(worker=name, kind=kind, reason=": ".join([type(error).__name__, *first_line]))

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def refuse_missing_ray(fields: RayFields) -> None:
    """Raise InputError where Ray is not installed, or nobody listens at the address of the cluster."""
    if importlib.util.find_spec("ray") is None:
        raise InputError("--on ray needs ray: pip install 'asr-scaling[ray]'")
    address = fields.address or os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():  # Ray itself would try for minutes
        try:
            socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"Ray at {address} does not answer ({error}); expected the address of a cluster") from None


def run_worker(command: list[str], folder: str, variables: dict[str, str], log_file: str) -> int:
    """Run one worker on this node in `folder` to its end. Returns its exit code, as a shell gives it.

    When the task is cancelled, the worker gets SIGTERM and the time that it needs for a checkpoint. Ray cancels by
    SIGINT. A node that was started in the background of a script ignores SIGINT, and so would this process, unless it
    sets a handler.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with appending(Path(log_file)) as output:
        worker = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
    try:
        while (code := worker.poll()) is None:
            time.sleep(POLL_SECONDS)
    except BaseException:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait()
        raise
    return code if code >= 0 else 128 - code
