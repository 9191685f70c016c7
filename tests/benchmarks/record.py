"""Where benchmarks write, on what machine they ran, and what they must keep."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "results" / "benchmarks"


def machine() -> dict[str, Any]:
    """The processor, its cores, the load of others and the versions that matter."""
    import numpy

    cpuinfo = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def write(name: str, report: dict[str, Any]) -> None:
    """Write `report` to results/benchmarks/NAME.json and print where."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(file)  # noqa: T201


def require(figure: str, value: float, at_most: float) -> None:
    """End the benchmark with exit code 1 where a figure is over what is promised."""
    if value > at_most:
        raise SystemExit(f"{figure}: {value:.3g}, promised: at most {at_most:g}")
