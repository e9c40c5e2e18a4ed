"""A headless Chromium that looks at our pages; Debian's, installed where it is absent.

``from tests.browser import running_browser as running_browser`` gives a module the fixture
``browser``. Its tests need `pytestmark = INSTALLING`: the first one may wait for a download.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests import apt
from tests.apt import INSTALLING as INSTALLING

_PROGRAMS = ("chromium", "chromedriver")
_PACKAGES = ("chromium", "chromium-driver")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever a page may ask for, nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)

#: What a page leaves out until it comes into view has no text and no size before it was drawn: with
#: the first frame the browser learns what is in view, with the next one that is there.
_DRAWN = """
const told = arguments[0];
requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(told)));
"""


class Browser:
    """A browser with one window; what a page asks of the network is on record."""

    def __init__(self, driver: Chrome) -> None:
        #: Selenium's own, for whatever this class has no word for.
        self.driver = driver

    def open(self, url: str, *, dark: bool = False, width: int = 1200, media: str = "") -> None:
        """Show a page, drawn; ``media`` may be ``print``. The record of requests begins anew."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", media=media, features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        self.driver.get("about:blank")  # ends what the page before still asks for
        self.driver.get_log("performance")  # to read it is to empty it
        self.driver.get(url)
        self.driver.set_script_timeout(60)
        self.driver.execute_async_script(_DRAWN)

    def requests(self) -> list[str]:
        """List what was asked for since the page was opened: itself, and what it needs."""
        events = (
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        )
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def run(self, script: str, *arguments: object) -> Any:
        """Return what JavaScript returns; a page that forbids scripts can be asked all the same."""
        return self.driver.execute_script(script, *arguments)

    def tell(self, command: str, **arguments: object) -> dict[str, Any]:
        """Give a command of the DevTools protocol, and return its answer."""
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return answer


@pytest.fixture(scope="module", name="browser")
def running_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser a module, with a profile of its own."""
    _install()
    with _started(tmp_path_factory.mktemp("chromium")) as driver:
        yield Browser(driver)


@contextmanager
def _started(profile: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    # Named, because Selenium would go and look for a driver on the network.
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def _install() -> None:
    """Install what is absent, or skip the test with the reason why that cannot be."""
    if not _absent():
        return
    if not apt.can_install():
        pytest.skip(f"needs {' and '.join(_absent())}: apt-get install {' '.join(_PACKAGES)}")
    said = apt.install(*_PACKAGES)
    if _absent():
        pytest.skip(f"no Chromium to install: {said}")


def _absent() -> list[str]:
    return [name for name in _PROGRAMS if shutil.which(name) is None]
