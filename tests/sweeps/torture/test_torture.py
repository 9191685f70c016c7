import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
from pathlib import Path
from torture import torture
fields = {"budgets_flops": [4e7], "strategies": ["joint"]}
report = torture(Path(sys.argv[1]), kills=1, seconds=0, at_random=3, **fields)
print(json.dumps(report))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes to kill in /proc")
def test_a_sweep_of_real_nodes_under_kill_9_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1] / "scaling"), str(here.parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    at_write_points = [count for what, count in report["by"].items() if what.endswith("at a write point")]
    assert report["by"]["worker at a write point"] > 0
    assert report["kills"] > sum(at_write_points)  # and some at random moments
