"""A headless Chromium, told what to do by its DevTools protocol over two pipes."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FLAGS = (
    *("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--disable-component-update"),
    "--remote-debugging-pipe",
)
_PROBLEMS = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}


@dataclass
class Browser:
    """A page in a running Chromium. Closed with the program that opened it."""

    _send: int
    _receive: int
    _session: str = ""
    _number: int = 0
    _left: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol, which must not fail."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            piece = os.read(self._receive, 1 << 20)
            assert piece, "Chromium has ended"
            self._left += piece
        message, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(message))

    def attach(self) -> None:
        """Open a tab whose scripts do not run, and listen to what it complains about."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def open(self, path: Path, *, width: int, dark: bool = False, media: str = "") -> None:
        """Show a file on a screen of this width."""
        self.events.clear()
        phone = width < 600
        height = 844 if phone else 900
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def problems(self) -> list[dict[str, Any]]:
        """Return what the page logged, and what it asked for beside itself."""
        asked = [each for each in self.events if each.get("method") == "Network.requestWillBeSent"]
        logged = [each for each in self.events if each.get("method") in _PROBLEMS]
        return logged + asked[1:]

    def width(self) -> tuple[float, float]:
        """Return the width of what is shown, and of the screen."""
        metrics = self.call("Page.getLayoutMetrics")
        return metrics["cssContentSize"]["width"], metrics["cssLayoutViewport"]["clientWidth"]

    def found(self, program: str) -> Any:
        """Return the value of an expression in JavaScript, of the page's document."""
        result = self.call("Runtime.evaluate", expression=program, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path) -> Path:
        """Write the whole page as a picture."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        whole = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=whole)
        path.write_bytes(base64.b64decode(answer["data"]))
        return path

    def printed(self, path: Path) -> bytes:
        """Print the page on A4; return the PDF, which is also written."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69}
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", **paper)["data"]))
        return path.read_bytes()


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start Chromium with a profile of its own; it ends with the block."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    flags = [*_FLAGS, f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # which root has none of
    # It reads from file 3 and writes to file 4.
    command = f'exec chromium "$@" 3<&{in_read} 4>&{out_write}'
    with subprocess.Popen(
        ["bash", "-c", command, "chromium", *flags, "about:blank"],
        pass_fds=(in_read, out_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(in_read)
        os.close(out_write)
        try:
            browser = Browser(in_write, out_read)
            browser.attach()
            yield browser
        finally:
            process.terminate()
            os.close(in_write)
            os.close(out_read)
