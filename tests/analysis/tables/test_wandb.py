"""Runs of a W&B project: the tracker's real client over real HTTP, against a server here that answers as its API."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("wandb", reason="needs the track extra: pip install 'asr-scaling[track]'")

KEY = "k" * 40
FLOPS = np.geomspace(1e18, 1e21, 41)
FLOOR, AMPLITUDE, EXPONENT = 0.05, 0.35, 0.3


def run_node(index: int, flops: float) -> dict[str, object]:
    """A run as the API describes it: config and summary are JSON in strings, config values wrapped."""
    config = {"budget": {"value": flops}, "model": {"value": {"llm": "qwen"}}, "_wandb": {"value": {"t": 1}}}
    return {
        "id": f"UnVuOnYx{index}", "name": f"run{index}", "displayName": f"trial {index}", "projectId": "7",
        "tags": [], "sweepName": None, "state": "finished", "group": None, "jobType": None, "commit": None,
        "readOnly": False, "createdAt": "2026-01-01T00:00:00", "heartbeatAt": "2026-01-01T01:00:00",
        "description": None, "notes": None, "systemMetrics": "{}", "historyLineCount": 3, "historyKeys": {},
        "user": {"name": "A", "username": "a"}, "config": json.dumps(config),
        "summaryMetrics": json.dumps({"test": {"cer": FLOOR + AMPLITUDE * (flops / 1e18) ** -EXPONENT}, "_step": 9}),
    }  # fmt: skip


NODES = [run_node(index, float(flops)) for index, flops in enumerate(FLOPS)]


class Api(BaseHTTPRequestHandler):
    """GraphQL as far as listing runs asks for it; a page holds a third of what is asked for: there are several."""

    pages: ClassVar[list[dict[str, object]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/graphql":
            self.answer(404, {})
        elif self.headers.get("Authorization") != f"Basic {base64.b64encode(f'api:{KEY}'.encode()).decode()}":
            self.answer(401, {"errors": [{"message": "invalid API key"}]})
        else:
            request = json.loads(body)
            self.answer(200, {"data": self.resolve(request["query"], request.get("variables") or {})})

    def resolve(self, query: str, variables: dict[str, object]) -> dict[str, object]:
        if "viewer" in query:
            return {"viewer": {"id": "VXNlcjox", "entity": "lab", "username": "a", "email": "", "flags": "{}",
                               "teams": {"edges": []}}}  # fmt: skip
        assert "runs(filters: $filters, after: $cursor, first: $perPage" in query
        if (variables["entity"], variables["project"]) != ("lab", "mandarin"):
            return {"project": None}
        self.pages.append(variables)
        first = int(str(variables.get("cursor") or 0))
        last = first + int(str(variables["perPage"])) // 3
        edges = [{"node": node, "cursor": str(first + i + 1)} for i, node in enumerate(NODES[first:last])]
        info = {"endCursor": str(first + len(edges)), "hasNextPage": last < len(NODES)}
        runs = {"edges": edges, "pageInfo": info}
        return {"project": {"internalId": "7", "runCount": len(NODES), "readOnly": False, "runs": runs}}

    def answer(self, status: int, document: dict[str, object]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what fails."""


@pytest.fixture(scope="module")
def server() -> Iterator[SimpleNamespace]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{http.server_port}", pages=Api.pages)
    http.shutdown()
    http.server_close()


def asked(server: SimpleNamespace, home: Path, *arguments: str, key: str = KEY) -> "subprocess.CompletedProcess[str]":
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WANDB_")},
        "HOME": str(home), "WANDB_BASE_URL": server.url, "WANDB_API_KEY": key, "WANDB_ERROR_REPORTING": "false",
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "asr-scaling"), *arguments]
    nothing = subprocess.DEVNULL
    return subprocess.run(
        command, env=environment, cwd=home, stdin=nothing, capture_output=True, text=True, timeout=120, check=False
    )


COLUMNS = ("--columns", "C=budget,y=test/cer", "--law", "power_floor")


def test_a_project_is_fitted_page_by_page_with_the_real_client(server, tmp_path):
    done = asked(server, tmp_path, "fit", "wandb:lab/mandarin", *COLUMNS, "--out", str(tmp_path / "F.json"), "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["fits"]
    assert found["n"] == len(FLOPS)
    assert found["theta"]["E"] == pytest.approx(FLOOR, rel=1e-6)
    assert found["theta"]["b"] == pytest.approx(EXPONENT, rel=1e-6)
    assert len(server.pages) == 2
    again = asked(server, tmp_path, "predict", str(tmp_path / "F.json"), "--flops", "1e23", "--json")
    assert json.loads(again.stdout)["cer"] == pytest.approx(FLOOR + AMPLITUDE * 1e5**-EXPONENT, rel=1e-6)


def test_nested_names_select_rows(server, tmp_path):
    where = ("--where", "budget >= 1e20")
    done = asked(server, tmp_path, "fit", "wandb:lab/mandarin", *COLUMNS, *where, "--json")
    assert json.loads(done.stdout)["fits"][0]["n"] == int((FLOPS >= 1e20).sum())


@pytest.mark.parametrize(
    ("source", "key", "said"),
    [
        ("wandb:lab/english", KEY, "Could not find project english"),
        ("wandb:lab/mandarin", "x" * 40, "wandb:lab/mandarin: "),
        ("wandb:mandarin", KEY, "expected wandb:ENTITY/PROJECT"),
    ],
)
def test_what_the_server_refuses_is_one_line(server, tmp_path, source, key, said):
    done = asked(server, tmp_path, "fit", source, *COLUMNS, key=key)
    assert done.returncode == 2
    assert said in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
