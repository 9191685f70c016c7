"""A headless Chromium that clicks and types as a person does, over its debugging pipe (the DevTools protocol)."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
PATIENCE = 30.0
"""Seconds until the browser must have answered, or the page shown what a test waits for."""


class Browser:
    """One page in a browser. `errors` are exceptions and violations of its policy, `requests` all that it asked for."""

    def __init__(self, process: "subprocess.Popen[bytes]", read: int, write: int, downloads: Path) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.downloads = downloads
        self._process, self._read, self._write = process, os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)
        self._numbers, self._session, self._buffer = count(1), None, b""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self._call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def open(self, url: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> None:
        """Load a page in a window of that many pixels."""
        self.errors.clear()
        self.requests.clear()
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page. Fails where it throws."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """The text of an element as it is shown."""
        return str(self.run(f"document.querySelector({selector!r}).innerText"))

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element."""
        found = f"document.querySelector({selector!r})"
        self.run(f"{found}.scrollIntoView({{block: 'center'}})")
        left, top, width, height = self.run(f"(b => [b.x, b.y, b.width, b.height])({found}.getBoundingClientRect())")
        self.click_at(left + width / 2, top + height / 2)

    def click_at(self, x: float, y: float) -> None:
        """Press and release the mouse at a place in the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def move_to(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def type(self, selector: str, text: str) -> None:
        """Replace what a field holds by typed text, and press Enter."""
        self.run(f"document.querySelector({selector!r}).focus(), document.querySelector({selector!r}).select()")
        self._call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r")

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a list."""
        field = f"document.querySelector({selector!r})"
        self.run(f"{field}.value = {value!r}, {field}.dispatchEvent(new Event('change'))")
        assert self.run(f"{field}.value") == value

    def downloaded(self, name: str) -> bytes:
        """A file that the page has given to the reader."""
        end = time.monotonic() + PATIENCE
        while not (self.downloads / name).is_file():
            assert time.monotonic() < end, sorted(file.name for file in self.downloads.iterdir())
            time.sleep(0.05)
        return (self.downloads / name).read_bytes()

    def picture(self, file: Path) -> None:
        """Keep a picture of the whole page."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        self._read.close()
        self._write.close()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        session = {} if self._session is None or method.startswith("Browser.") else {"sessionId": self._session}
        message = {"id": number, "method": method, "params": parameters, **session}
        self._write.write(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            self._notice(answer)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = self._read.read(1 << 20)
            assert part, f"the browser has ended: {self._process.poll()}"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _notice(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(event["params"]["exceptionDetails"])[:2000])
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.errors.append(event["params"]["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile and downloads lie in `folder`."""
    assert PROGRAM is not None
    downloads = folder / "downloads"
    downloads.mkdir()
    to_browser, from_browser = os.pipe(), os.pipe()

    def place_pipes() -> None:  # the browser reads descriptor 3 and writes 4
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser[0], from_browser[1])]
        for number, end in zip((3, 4), ends, strict=True):
            os.dup2(end, number)

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [PROGRAM, *options, f"--user-data-dir={folder / 'profile'}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=place_pipes,
    )
    os.close(to_browser[0])
    os.close(from_browser[1])
    opened = Browser(process, from_browser[0], to_browser[1], downloads)
    try:
        yield opened
    finally:
        opened.close()
