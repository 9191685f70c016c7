"""Slurm's accounting as large sites have it: slurmdbd before a MariaDB, in the cluster's folder and on loopback."""

import socket
from collections.abc import Callable
from pathlib import Path

from processes import wait_until

PROGRAMS = ("slurmdbd", "sacct", "mariadbd", "mariadb-install-db", "my_print_defaults")

SLURMDBD_CONF = """\
DbdHost=localhost
DbdPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[1]}
StorageUser=root
PidFile={root}/slurmdbd.pid
LogFile={root}/slurmdbd.log
"""

MARIADB_CNF = """\
[mariadbd]
user=root
datadir={root}/mariadb
socket={root}/mariadbd.socket
pid-file={root}/mariadbd.pid
log-error={root}/mariadbd.log
bind-address=127.0.0.1
port={ports[1]}
innodb-buffer-pool-size=16M
innodb-log-file-size=8M
innodb-flush-log-at-trx-commit=0
"""

SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={ports[0]}
AccountingStoragePass={root}/munge.socket
"""


class Accounting:
    """Two daemons, each with its pid in a file of the cluster's folder; `command` runs a program there, to its end."""

    DAEMONS = ("slurmdbd", "mariadbd")

    def __init__(self, root: Path, ports: list[int], command: Callable[..., str]) -> None:
        self._root = root
        self._ports = ports
        self._command = command

    def slurm_conf(self) -> str:
        """What slurm.conf says of it."""
        return self._filled(SLURM_CONF)

    def start(self) -> None:
        """Before the controller, which ends at its first start where accounting does not answer."""
        options, conf = self._root / "mariadb.cnf", self._root / "slurmdbd.conf"
        options.write_text(self._filled(MARIADB_CNF))
        conf.write_text(self._filled(SLURMDBD_CONF))
        conf.chmod(0o600)  # slurmdbd insists: others' hold a password
        self._command("mariadb-install-db", f"--defaults-file={options}", "--skip-test-db", "--skip-name-resolve")
        self._command("sh", "-c", 'mariadbd --defaults-file="$0" --skip-grant-tables >/dev/null 2>&1 &', str(options))
        wait_until((self._root / "mariadbd.socket").exists, 20)
        self.start_slurmdbd()

    def start_slurmdbd(self) -> None:
        self._command("slurmdbd")
        wait_until(self._answers, 20)

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self._ports[0])) == 0

    def _filled(self, text: str) -> str:
        return text.format(root=self._root, ports=self._ports)
