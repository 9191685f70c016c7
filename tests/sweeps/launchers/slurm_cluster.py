"""A real Slurm of two nodes on this machine's loopback: munged, slurmctld and two slurmd, in a folder of its own.

Each slurmd lives in a UTS namespace with a host name of its own, so that a worker's lease names another machine than
the launcher's, as on any cluster: liveness is then judged by heartbeats. Needs root and Debian's packages.

A small site's has no accounting and watches no memory. A large site's keeps accounts (see slurm_accounting.py), and its
kernel kills a job that takes more memory than it asked for, where control groups of version 1 can be made: those of its
jobs lie below this process's.
"""

import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import slurm_accounting
from processes import alive, wait_until
from slurm_accounting import Accounting

from scaling.ledger.plan_file import read_plan_file
from scaling.system.container_memory import GROUP_FILES, memory_groups
from sweeps.launchers.slurm import job_name

NODES = ("n1", "n2")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "munged", "unshare", *slurm_accounting.PROGRAMS)

SLURM_CONF = """\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=10
KillWait=5
GresTypes=gpu
NodeName=n1 NodeHostname=n1 NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=2000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname=n2 NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=2000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
"""

MEMORY_LEFT_ALONE = """\
TaskPlugin=task/none
SelectTypeParameters=CR_Core
"""

MEMORY_WATCHED = """\
TaskPlugin=task/cgroup
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
"""

CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint={root}/cgroup
ConstrainRAMSpace=yes
"""

GRES_CONF = """\
NodeName=n1 Name=gpu File={root}/gpu[0-1]
NodeName=n2 Name=gpu File={root}/gpu[2-3]
"""


class SlurmCluster:
    """Started on entry, and every process of it gone on exit. `environment` lets Slurm's commands find it."""

    def __init__(self, root: Path, *, large: bool = False) -> None:
        self.root = root
        self.environment = {**os.environ, "SLURM_CONF": str(root / "slurm.conf")}
        self.accounting = Accounting(root, free_ports(2), self.command) if large else None
        self.groups = _groups_of_jobs() if large else []
        self._ports = free_ports(1 + len(NODES))

    def __enter__(self) -> "SlurmCluster":
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.root / name).mkdir()
        for number in range(4):
            os.mknod(self.root / f"gpu{number}", 0o666 | 0o020000, os.makedev(1, 3))  # GPUs in name: aliases of null
        (self.root / "slurm.conf").write_text(self._slurm_conf())
        (self.root / "gres.conf").write_text(GRES_CONF.format(root=self.root))
        (self.root / "cgroup.conf").write_text(CGROUP_CONF.format(root=self.root))
        (self.root / "cgroup" / "memory").mkdir(parents=True)
        try:
            self._start_munge()
            if self.accounting:
                self.accounting.start()
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            wait_until(lambda: self.nodes_in("idle") == len(NODES), 30)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start_controller(self) -> None:
        self.command("slurmctld")

    def end_controller(self) -> None:
        """Asked to end it saves what it knows first; killed, it would forget the jobs of the last seconds."""
        self._kill("slurmctld", signal.SIGTERM)

    @contextmanager
    def accounting_away(self) -> Iterator[None]:
        """The database's daemon is asked to end, as for an upgrade, and started again."""
        assert self.accounting is not None
        self._kill("slurmdbd", signal.SIGTERM)
        yield
        self.accounting.start_slurmdbd()

    def accounted(self, *options: str) -> list[str]:
        """The states of jobs that accounting knows."""
        return self.command("sacct", "--noheader", "--allocations", "--parsable2", "--format=State", *options).split()

    def start_node(self, node: str) -> None:
        alone, mount = ["--uts"], ""
        if self.groups:
            alone += ["--mount", "--cgroup"]
            mount = f"mount -t cgroup -o memory cgroup {shlex.quote(str(self.root))}/cgroup/memory &&"
        self.command("unshare", *alone, "sh", "-c", f"hostname {node} && {mount} exec slurmd -N {node}")

    def kill_node(self, node: str) -> None:
        """As a power cut would: slurmd and everything it runs."""
        self._kill(f"slurmd-{node}")
        for pid in self.processes_of(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes_of(self, node: str) -> list[int]:
        """Processes that Slurm runs on a node: those with its name, and this cluster's, in their environment."""
        signs = {f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if signs <= {*(entry / "environ").read_bytes().split(b"\0")}:
                    found.append(int(entry.name))
        return found

    def nodes_in(self, state: str) -> int:
        return self.command("sinfo", "--noheader", "--Node", "--partition=main", "--format=%t").split().count(state)

    def queue(self, *options: str) -> list[str]:
        """What squeue lists, a line a job: id, state, node."""
        return self.command("squeue", "--noheader", "--array", "--format=%i %T %N", *options).splitlines()

    def jobs_of(self, folder: Path) -> list[str]:
        """Every job of a study's folder that Slurm remembers."""
        return self.queue("--states=all", f"--name={job_name(read_plan_file(folder))}")

    def command(self, *arguments: str) -> str:
        done = subprocess.run(arguments, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def _slurm_conf(self) -> str:
        memory = MEMORY_WATCHED if self.groups else MEMORY_LEFT_ALONE
        accounts = self.accounting.slurm_conf() if self.accounting else ""
        return SLURM_CONF.format(root=self.root, ports=self._ports) + memory + accounts

    def _start_munge(self) -> None:
        key = self.root / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {"key-file": key, "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munge.log"}
        options = [f"--{name}={self.root / path}" for name, path in files.items()]
        self.command("munged", "--force", f"--seed-file={self.root / 'munge.seed'}", *options)

    def _end(self) -> None:
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.command("scancel", "--user=root")
        for node in NODES:
            self.kill_node(node)
        for name in ("slurmctld", *Accounting.DAEMONS, "munged"):
            self._kill(name)
        for groups in self.groups:
            for folder, *_ in os.walk(groups, topdown=False):
                _remove(Path(folder))

    def _kill(self, name: str, number: int = signal.SIGKILL) -> None:
        path = self.root / f"{name}.pid"
        if path.exists():
            pid = int(path.read_text())
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            wait_until(lambda: not alive(pid), 20)
            path.unlink(missing_ok=True)


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def _groups_of_jobs() -> list[Path]:
    """Where the nodes' slurmd put their jobs' control groups, if they can: the folders' names are Slurm's."""
    own = next((group for group in memory_groups() if group.files is GROUP_FILES["cgroup"]), None)
    writable = own is not None and os.access(own.folder, os.W_OK)
    return [own.folder / f"slurm_{node}" for node in NODES] if writable else []


def _remove(group: Path) -> None:
    """Once those who were killed in it are gone."""
    wait_until(lambda: not (group / "cgroup.procs").read_text(), 10)
    group.rmdir()


needs_slurm = [
    pytest.mark.slurm,
    pytest.mark.skipif(os.getuid() != 0, reason="a Slurm of its own needs root"),
    pytest.mark.skipif(bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"),
]


def at(*large: bool) -> pytest.MarkDecorator:
    """At a small site, at a large one, or at both."""
    names = ["large site" if value else "small site" for value in large]
    return pytest.mark.parametrize("started_slurm", large, indirect=True, ids=names, scope="module")
