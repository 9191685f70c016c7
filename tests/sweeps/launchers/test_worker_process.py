"""A worker that is forked is what one started by its command would be, and so is its end."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from local_run import STUB_SERVER
from processes import alive, wait_until

from sweeps.launchers import worker_process
from sweeps.launchers.worker_command import THREAD_VARIABLES
from sweeps.launchers.worker_process import TRAINER, Process, ProcessStarter, process_starter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are started by their command")

PATIENCE_SECONDS = 900
"""For imports beside much other work."""

REPORT = """
import json, os, resource, signal, stat, sys, threading
from pathlib import Path
libc = __import__("ctypes").CDLL(None)
ends = __import__("ctypes").c_int()
libc.prctl(2, __import__("ctypes").byref(ends), 0, 0, 0)
environment = {name: value for name, value in os.environ.items() if not name.startswith("STUB_")}
print(json.dumps({
    "environment": environment,
    "parent": os.getppid(),
    "leads its group": os.getpgid(0) == os.getpid(),
    "folder": os.getcwd(),
    "processors": sorted(os.sched_getaffinity(0)),
    "nice": os.nice(0),
    "ends with its parent by": ends.value,
    "stdin": sys.stdin.read(),
    "files": {name: stat.S_IFMT(os.stat(int(name)).st_mode) for name in os.listdir("/proc/self/fd") if int(name) < 3},
    "other files": len([name for name in os.listdir("/proc/self/fd") if int(name) > 2 and
                        os.path.exists(f"/proc/self/fd/{name}")]),
    "handlers": [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": [resource.getrlimit(limit) for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
    "threads": len(os.listdir("/proc/self/task")),
    "arguments": sys.argv[1:],
}))
"""


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ProcessStarter]]:
    """Starters, with fork servers that stand ready, of workers that do what a program says."""
    monkeypatch.setattr(worker_process, "FORK_SERVER", STUB_SERVER)
    with ExitStack() as stack:

        def begun(command: list[str], **environment: str) -> ProcessStarter:
            new = process_starter(command, {**os.environ, **environment}, tmp_path / "fork-server.log")
            found = stack.enter_context(new)
            wait_until(found.ready, PATIENCE_SECONDS)
            return found

        yield begun


def forking(*arguments: str) -> list[str]:
    return [*TRAINER, *arguments]


def work(found: ProcessStarter, program: str, log: Path, **environment: str) -> Process:
    return found.start({**os.environ, "STUB_WORKER": program, **environment}, log)


def server(found: ProcessStarter) -> Any:
    assert found._server is not None
    return found._server


def test_a_forked_worker_finds_what_one_started_by_its_command_finds(
    begin: Callable[..., ProcessStarter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    allowed = os.sched_getaffinity(0)
    monkeypatch.setenv("LATE", "no")
    os.sched_setaffinity(0, {min(allowed)})
    try:
        fork = begin(forking("--plan", "plan.json"))
        execute = begin([sys.executable, "-c", REPORT, "--plan", "plan.json"])
        monkeypatch.setenv("LATE", "yes")  # what holds is the environment when a worker is started, not the server
        monkeypatch.delenv("HOME", raising=False)
        reports = []
        for found in (execute, fork):
            log = tmp_path / "worker.log"
            assert work(found, REPORT, log, CUDA_VISIBLE_DEVICES="3", STRANGE="a\udcffb\n").wait() == 0, log.read_text()
            reports.append(json.loads(log.read_text().splitlines()[-1]))
    finally:
        os.sched_setaffinity(0, allowed)
    executed, forked = reports
    assert forked == executed
    assert executed["environment"]["LATE"] == "yes"
    assert executed["parent"] == os.getpid()
    assert len(executed["processors"]) == 1


ENDS = [
    ("print('done')", 0, "done"),
    ("raise SystemExit(143)", 143, ""),
    ("import sys; print('error: no such manifest', file=sys.stderr); sys.exit(2)", 2, "error: no such manifest"),
    ("raise SystemExit('no such library')", 1, "no such library"),
    ("raise ValueError('seven')", 1, "ValueError: seven"),
    ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ("import os; os.abort()", -signal.SIGABRT, ""),
    ("import atexit; atexit.register(print, 'at last')", 0, "at last"),
]
"""Programs of workers, their exit codes and their last words."""


def test_a_forked_worker_s_end_and_last_words_are_those_of_one_started_by_its_command(
    begin: Callable[..., ProcessStarter], tmp_path: Path
) -> None:
    """Forked one after another by the same server, which none of their ends hurts."""
    forks = begin(forking())
    for program, code, words in ENDS:
        for found in (forks, begin([sys.executable, "-c", program])):
            log = tmp_path / "worker.log"
            log.write_text("earlier words\n")
            assert work(found, program, log).wait() == code, program
            assert log.read_text().startswith("earlier words\n"), program
            assert log.read_text().splitlines()[-1] == (words or "earlier words"), program


def test_a_forked_worker_dies_at_the_write_point_that_its_own_variables_name(
    begin: Callable[..., ProcessStarter], tmp_path: Path
) -> None:
    program = "from scaling.system.fault_injection import crash_point; crash_point('result.json')"
    found = begin(forking())
    assert work(found, program, tmp_path / "log", ASR_SCALING_DIES_AT_WRITE="1 result").wait() == -signal.SIGKILL
    assert work(found, program, tmp_path / "log").wait() == 0


def test_a_worker_outlives_its_fork_server_which_is_replaced(
    begin: Callable[..., ProcessStarter], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = begin(forking())
    worker = work(found, "import time; time.sleep(0.5)\nraise SystemExit(7)", tmp_path / "worker.log")
    first = server(found).pid
    server(found).kill()
    wait_until(lambda: not alive(first), 5)
    assert not found.ready()
    said = capsys.readouterr().err
    assert "the process that workers are forked from died (killed by SIGKILL, see" in said
    assert "starting another" in said
    assert worker.wait() == 7
    wait_until(found.ready, PATIENCE_SECONDS)
    assert server(found).pid != first
    assert work(found, "raise SystemExit(8)", tmp_path / "worker.log").wait() == 8


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_fork_server_that_does_not_answer_is_killed_and_the_worker_started_by_its_command(
    number: signal.Signals, begin: Callable[..., ProcessStarter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(worker_process, "TRAINER", (sys.executable,))
    found = begin([sys.executable, "-c", "raise SystemExit(9)"])
    server(found).send_signal(number)
    wait_until(lambda: number is signal.SIGSTOP or not alive(server(found).pid), 5)
    assert work(found, "raise SystemExit(8)", tmp_path / "worker.log").wait() == 9
    assert not alive(server(found).pid)
    wait_until(found.ready, PATIENCE_SECONDS)
    assert work(found, "raise SystemExit(8)", tmp_path / "worker.log").wait() == 8


@pytest.mark.parametrize(
    ("imports", "words"),
    [
        ("raise ImportError('no libtorch')", "no libtorch"),
        ("import threading; threading.Thread(target=threading.Event().wait).start()", "has started a thread"),
        (
            "from scaling.asr import fork_server; fork_server.GPU_FILES = '/dev/zero'; opened = open('/dev/zero')",
            "has opened a GPU",
        ),
    ],
)
def test_where_imports_do_not_allow_a_fork_workers_are_started_by_their_command(
    imports: str,
    words: str,
    begin: Callable[..., ProcessStarter],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(worker_process, "TRAINER", (sys.executable,))
    found = begin([sys.executable, "-c", "raise SystemExit(9)"], STUB_IMPORT=imports)
    assert work(found, "raise SystemExit(8)", tmp_path / "worker.log").wait() == 9
    said = capsys.readouterr().err
    assert f"(exit code 1, see {tmp_path / 'fork-server.log'}); each worker imports everything itself" in said
    assert words in (tmp_path / "fork-server.log").read_text()


def test_what_libraries_print_when_imported_is_no_answer(begin: Callable[..., ProcessStarter], tmp_path: Path) -> None:
    found = begin(forking(), STUB_IMPORT="import time; print('welcome', flush=True); time.sleep(0.5)")
    assert work(found, "raise SystemExit(8)", tmp_path / "worker.log").wait() == 8


def test_the_fork_server_ends_with_the_run_and_before_it_imports_too(
    begin: Callable[..., ProcessStarter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "FORK_SERVER", STUB_SERVER)
    with process_starter(
        forking(), {**os.environ, "STUB_IMPORT": "import time; time.sleep(60)"}, tmp_path / "log"
    ) as found:
        time.sleep(0.3)
        assert not found.ready()
        pid = server(found).pid
    assert not alive(pid)


def test_another_trainer_has_no_fork_server(begin: Callable[..., ProcessStarter]) -> None:
    assert begin([sys.executable, "my_trainer.py"])._server is None
    assert begin([sys.executable, "-m", "scaling.asr.execution.torchrun", "-m", "scaling.asr"])._server is None


PRELOADS = """
import os, torch

def touched(*_, **__):
    raise BaseException("CUDA was asked for before the fork")

asking = ("is_available", "device_count", "current_device", "init", "_lazy_init")
real = {name: getattr(torch.cuda, name) for name in asking}
for name in asking:
    setattr(torch.cuda, name, touched)
import scaling.asr.__main__
assert len(os.listdir("/proc/self/task")) == 1
for name in asking:
    setattr(torch.cuda, name, real[name])
"""
COMPUTES = """
import numpy, os, sys, torch
assert {"transformers", "peft"} <= set(sys.modules)
assert torch.get_num_threads() == 1
torch.set_num_threads(2)
weights = torch.ones(600, 600, requires_grad=True)
(weights @ weights).sum().backward()
assert weights.grad.unique().tolist() == [1200.0]
assert (numpy.ones((600, 600)) @ numpy.ones((600, 600)) == 600).all()
assert torch.get_num_threads() == 2
assert len(os.listdir("/proc/self/task")) > 1
"""


def test_what_is_imported_before_the_fork_starts_no_thread_and_no_cuda_and_computes_in_threads_after_it(
    begin: Callable[..., ProcessStarter], tmp_path: Path
) -> None:
    found = begin(forking(), STUB_IMPORT=PRELOADS, **dict.fromkeys(THREAD_VARIABLES, "1"))
    assert found._server is not None, (tmp_path / "fork-server.log").read_text()
    workers = [work(found, COMPUTES, tmp_path / f"worker-{number}.log") for number in range(2)]
    logs = [tmp_path / f"worker-{number}.log" for number in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0], [log.read_text() for log in logs]
