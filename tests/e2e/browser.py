"""A real browser, Debian's chromium without a window, spoken to by WebDriver: as much of it as the
tests of the page need."""
import base64
import json
import pathlib
import subprocess
import tempfile
import urllib.request

from harness import free_port, wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self, dark=False):
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="trawl-browser-")
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        try:
            wait_for("chromedriver", lambda: self._call("GET", "/status")["ready"])
            # No sandbox: the tests run as root. The rest keeps it from looking for the world outside.
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--disable-dev-shm-usage", f"--user-data-dir={self.directory.name}",
                         "--window-size=1400,1000"]
            if dark:
                arguments.append("--blink-settings=preferredColorScheme=0")
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"args": arguments}}}})
            self.session = f"/session/{answer['sessionId']}"
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.session:
            self._call("DELETE", self.session)
        self.driver.terminate()
        self.driver.wait(20)
        self.directory.cleanup()

    def _call(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.loads(answer.read())["value"]

    def open(self, url):
        self._call("POST", f"{self.session}/url", {"url": url})

    def address(self):
        return self._call("GET", f"{self.session}/url")

    def reload(self):
        self._call("POST", f"{self.session}/refresh")

    def run(self, script, *arguments):
        """The value that a script's `return` gives."""
        return self._call("POST", f"{self.session}/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def click(self, selector):
        """As a person would: at the place where the element is seen."""
        found = self._call("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        self._call("POST", f"{self.session}/element/{found[ELEMENT]}/click")

    def type(self, selector, text):
        found = self._call("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        self._call("POST", f"{self.session}/element/{found[ELEMENT]}/clear")
        self._call("POST", f"{self.session}/element/{found[ELEMENT]}/value", {"text": text})

    def wait_text(self, selector, text, seconds=30):
        wait_for(f"{text!r} in {selector}", lambda: any(text in t for t in self.texts(selector)), seconds)

    def errors(self):
        """What the page's console complains of."""
        log = self._call("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self._call("GET", f"{self.session}/screenshot")))
