"""Workers as tasks of a Ray cluster: each runs one worker on some node and returns its exit code.

Ray only starts them and says which are gone. It forgets everything when its head dies; the ledger does not.
"""

import importlib.util
import logging
import os
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger.lease import WORKER_NAME
from scaling.ledger.plan_file import PlanFile
from scaling.system.parent_death import end_with_parent
from sweeps.launchers.fleet import Ending, Fate, Look, ending
from sweeps.launchers.local import THREAD_VARIABLES, Command
from sweeps.study.schema import RayFields

POLL_SECONDS = 0.2
"""How often a task looks at its worker."""

ANSWER_SECONDS = 5.0
"""A cluster's head takes a connection within milliseconds."""

PASSED_ON = ("ASR_SCALING_", "HF_")
"""Variables of the launcher that workers get, by the beginnings of their names; the rest is their node's own."""


class RayCluster:
    """The workers of one invocation. They leave when their launcher dies, so that none is there twice."""

    name = "Ray"
    look_seconds = 1.0

    def __init__(self, plan_file: PlanFile, command: Command, fields: RayFields) -> None:
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            ray.init(address=fields.address, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
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

    def look(self) -> Look | None:
        """Our tasks, and the endings of those that are over."""
        over = self._over()
        endings = [self._ending(name, self._workers.pop(name)) for name in over]
        running = sum(self._log(name).exists() for name in self._workers)
        queue = f"{running} running, {len(self._workers) - running} waiting for a node"
        return Look(present=len(self._workers), endings=endings, queue=queue)

    def start(self, count: int) -> None:
        """Submit `count` tasks."""
        for _ in range(count):
            name = f"ray-{uuid.uuid4().hex[:8]}"
            passed = {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}
            variables = {**passed, **dict.fromkeys(THREAD_VARIABLES, self._threads), WORKER_NAME: name}
            self._workers[name] = self._task.remote(self._command, str(Path.cwd()), variables, str(self._log(name)))
        log(f"submitted to Ray: {count} workers")

    def withdraw(self, count: int) -> None:
        """Cancel up to `count` tasks that no node has begun."""
        waiting = [name for name in self._workers if not self._log(name).exists()]
        for name in waiting[-count:]:
            self._ray.cancel(self._workers.pop(name))

    def ask_to_leave(self) -> None:
        """Cancel every task; one that runs passes SIGTERM on to its worker and waits for it."""
        for task in self._workers.values():
            self._ray.cancel(task)

    def cancel(self) -> None:
        """End every task, and leave the cluster."""
        for task in self._workers.values():
            self._ray.cancel(task, force=True)
        self._ray.shutdown()

    def _over(self) -> list[str]:
        tasks = list(self._workers.values())
        done, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0) if tasks else ([], [])
        return [name for name, task in self._workers.items() if task in done]

    def _ending(self, name: str, task: Any) -> Ending:
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, TaskCancelledError

        fates = {OutOfMemoryError: Fate.OUT_OF_MEMORY, NodeDiedError: Fate.LOST, TaskCancelledError: Fate.CANCELLED}
        try:
            code = self._ray.get(task)
        except RayError as error:
            fate = next((fate for kind, fate in fates.items() if isinstance(error, kind)), Fate.DIED)
            said = str(error).splitlines()[:1]
            return Ending(worker=name, fate=fate, reason=": ".join([type(error).__name__, *said]))
        return ending(name, code, self._log(name))

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
    """On a node: run one worker in `folder` to its end; its exit code, as a shell has it.

    Where the task is cancelled, the worker gets SIGTERM and the time it needs for a checkpoint. Ray cancels by SIGINT,
    which a node that was started in a script's background ignores, and all that it starts, unless told otherwise.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(log_file).open("ab") as output:
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
