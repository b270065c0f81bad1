"""Chromium, as a person would use it: by the W3C WebDriver protocol."""

import base64
import contextlib
import http.client
import json
import os
from pathlib import Path

from harness import SLOW, Failed, Process, answers_tcp, free_port, program
from harness import wait_for

LOOPBACK = "127.0.0.1"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, ESCAPE, TAB, DELETE = "\ue007", "\ue00c", "\ue004", "\ue017"
ALL = "\ue009a\ue000"  # Control-A

# Where pictures of what the tests saw are kept; without it, nowhere.
PICTURES = os.environ.get("CERTFLEET_SCREENSHOTS", "")


class Refused(Exception):
    """What chromedriver could not do; .kind is WebDriver's word for it."""

    def __init__(self, value):
        super().__init__(f"{value['error']}: {value['message'][:500]}")
        self.kind = value["error"]


class Element:
    def __init__(self, browser, id):
        self.browser = browser
        self.id = id

    def ask(self, method, what, body=None):
        return self.browser.ask(method, f"/element/{self.id}{what}", body)

    @property
    def text(self):
        return self.ask("GET", "/text")

    def attribute(self, name):
        return self.ask("GET", f"/attribute/{name}")

    @property
    def label(self):
        """What a screen reader calls it."""
        return self.ask("GET", "/computedlabel")

    def click(self):
        self.ask("POST", "/click", {})

    def type(self, text):
        self.ask("POST", "/value", {"text": text})


class Browser(Process):
    """chromedriver and one Chromium, in a directory of their own."""

    def __init__(self, directory):
        super().__init__("chromedriver", directory)
        self.port = free_port()
        self.session = ""
        self.env = {"HOME": str(self.dir), "XDG_RUNTIME_DIR": str(self.dir)}

    def start(self):
        self.spawn(program("chromedriver"), f"--port={self.port}")
        self.wait_ready(lambda: answers_tcp(LOOPBACK, self.port))
        arguments = ["--headless=new", "--disable-gpu", "--no-first-run",
                     "--disable-dev-shm-usage", "--disable-extensions",
                     "--disable-background-networking", "--disable-sync",
                     "--disable-component-update", "--lang=en",
                     "--no-sandbox",  # only our own pages are shown
                     f"--user-data-dir={self.dir / 'profile'}"]
        made = self.request("POST", "/session", {"capabilities": {
            "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": arguments,
                                       "binary": program("chromium")},
                "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = f"/session/{made['sessionId']}"
        return self

    def stop(self, seconds=10):
        if self.session:
            with contextlib.suppress(OSError, Refused, http.client.HTTPException):
                self.request("DELETE", self.session)
            self.session = ""
        return super().stop(seconds)

    def request(self, method, path, body=None):
        link = http.client.HTTPConnection(LOOPBACK, self.port,
                                          timeout=60 * SLOW)
        with contextlib.closing(link):
            link.request(method, path,
                         None if body is None else json.dumps(body))
            reply = link.getresponse()
            value = json.loads(reply.read())["value"]
        if reply.status >= 400:
            raise Refused(value)
        return value

    def ask(self, method, what, body=None):
        return self.request(method, self.session + what, body)

    # --- verbs ---------------------------------------------------------

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def reload(self):
        self.ask("POST", "/refresh", {})

    def js(self, text, *arguments):
        """Run a function's body; what it returns, awaited."""
        return self.ask("POST", "/execute/async", {
            "script": "const done = arguments[arguments.length - 1];"
                      "(async function(...arguments) {" + text + "})"
                      ".apply(null, [...arguments].slice(0, -1))"
                      ".then(done, e => done({ thrown: String(e) }));",
            "args": list(arguments)})

    def cdp(self, command, **parameters):
        """A command of Chromium's own protocol."""
        return self.ask("POST", "/goog/cdp/execute",
                        {"cmd": command, "params": parameters})

    def all(self, css):
        found = self.ask("POST", "/elements",
                         {"using": "css selector", "value": css})
        return [Element(self, e[ELEMENT]) for e in found]

    def one(self, css, having="", seconds=20):
        """Wait for the element with that text in it; its Element."""
        def there():
            with contextlib.suppress(Refused):  # it changes while we look
                for element in self.all(css):
                    if having in element.text:
                        return element
            return None

        return wait_for(f"{css} with {having!r}", there, seconds, 0.05,
                        self.page)

    def none(self, css, seconds=10):
        wait_for(f"{css} to go", lambda: not self.all(css), seconds, 0.05,
                 self.page)

    def text(self, css):
        return self.one(css).text

    def press(self, css, having=""):
        """Click what a person would click, where it is by then."""
        def pressed():
            try:
                self.one(css, having).click()
                return True
            except Refused as e:
                if e.kind != "stale element reference":
                    raise
                return False

        wait_for(f"{css} to be pressed", pressed, 10, 0.05)

    def enter(self, label, text):
        """Type into the control with that label."""
        for element in self.all("input, textarea, select"):
            if element.label == label:
                element.type(ALL + DELETE + text)
                return element
        raise Failed(f"there is no control {label!r}\n{self.page()}")

    def keys(self, *keys):
        """Keys as they are pressed, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys
                   for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [
            {"type": "key", "id": "keyboard", "actions": actions}]})

    def page(self):
        """What a person sees, for a failure's text."""
        with contextlib.suppress(Refused, OSError):
            return "--- page\n" + self.js("return location.href + '\\n' + "
                                          "document.body.innerText")
        return "--- no page"

    def size(self, width, height):
        """The page's own, as a phone's or a desk's."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width,
                 height=height, deviceScaleFactor=1, mobile=width < 600)

    def prefer(self, **features):
        """Media features: color_scheme="dark", reduced_motion="reduce"."""
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-" + name.replace("_", "-"), "value": value}
            for name, value in features.items()])

    def complaints(self):
        """What the console has had to say since it was last asked."""
        return [f"{e['source']} {e['level']}: {e['message']}"
                for e in self.ask("POST", "/se/log", {"type": "browser"})
                if e["level"] in ("SEVERE", "WARNING")]

    def picture(self, name, whole=False):
        """What is seen, or the whole page; kept where PICTURES says."""
        if not PICTURES:
            return
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=whole)
        directory = Path(PICTURES)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
