"""The page in a browser, and a detector that finds known things.

The tests that share it load it by its path.
"""

import base64
import json
import threading

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tf_frcnn.demo import ImageError
from tf_frcnn.drawing.boxes import class_color

MARKUP = "<img src=x onerror=alert(1)>"
NAMES = ["cat", "dog", MARKUP, "bird"]
SIDES = ("ymin", "xmin", "ymax", "xmax")
# Of an image of 100 x 200 pixels; best first.
FOUND = [
    ("cat", 0.9, (20, 10, 60, 50)),
    ("dog", 0.6, (30, 80, 70, 120)),
    (MARKUP, 0.55, (50, 140, 90, 190)),
    ("cat", 0.3, (70, 20, 95, 60)),
]
ENTRY = {
    "height": 100,
    "width": 200,
    "detections": [
        {"class": name, "score": score, **dict(zip(SIDES, box, strict=True))}
        for name, score, box in FOUND
    ],
}


class Pets:
    """Finds FOUND in every PNG; the first bytes of other files say what it does.

    Attributes:
        goes_on: set to end the wait for a file of "wait".
    """

    def __init__(self):
        self.goes_on = threading.Event()

    def detect(self, data):
        if data.startswith(b"wait"):
            self.goes_on.wait(30)
        if data.startswith(b"fail"):
            raise RuntimeError("The test wants this.")
        if not data.startswith(b"\x89PNG"):
            raise ImageError("it is not a JPEG, PNG, BMP or GIF.")
        return ENTRY | {"milliseconds": 12.3}


def start_driver(chromium, chromedriver):
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    return webdriver.Chrome(options, Service(chromedriver))


class Page:
    """The page as a visitor sees it."""

    def __init__(self, driver, address, *, width=1280, height=800, theme="light"):
        self.driver, self.address = driver, address
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        size["mobile"] = width < 600
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": theme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get(address)
        self.wait(lambda: self["about"].text)

    def __getitem__(self, name):
        return self.driver.find_element(By.ID, name)

    def wait(self, condition):
        return WebDriverWait(self.driver, 30, 0.05).until(lambda _: condition())

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def choose(self, path):
        self["file"].send_keys(str(path))

    def send(self, kind, name, data):
        """Drops or pastes a file."""
        self.run(
            """
            const [kind, name, data] = arguments;
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const files = new DataTransfer();
            files.items.add(new File([bytes], name));
            const event = kind === "drop"
              ? new DragEvent(kind, { dataTransfer: files, bubbles: true })
              : new ClipboardEvent(kind, { clipboardData: files, bubbles: true });
            document.getElementById("stage").dispatchEvent(event);
            """,
            kind,
            name,
            base64.b64encode(data).decode(),
        )

    def wait_for_boxes(self):
        self.wait(lambda: "shown of" in self["status"].text)

    def set_threshold(self, value):
        self.run(
            "const slider = document.getElementById('threshold');"
            "slider.value = arguments[0]; slider.dispatchEvent(new Event('input'));",
            value,
        )

    def counts(self):
        """Returns class -> its count, of the classes in their order."""
        rows = self["classes"].find_elements(By.TAG_NAME, "li")
        texts = (row.text.rsplit("\n", 1) for row in rows)
        return {name: int(count) for name, count in texts}

    def toggle(self, name):
        row = self["classes"].find_elements(By.TAG_NAME, "li")[
            list(self.counts()).index(name)
        ]
        row.find_element(By.TAG_NAME, "input").click()

    def color_at_left_edge(self, row):
        """Returns the canvas's RGBA amid the left edge of a box of FOUND."""
        ymin, xmin, ymax, _ = FOUND[row][2]
        return self.run(
            """
            const canvas = document.getElementById("boxes");
            const x = arguments[0] / 200 * canvas.width + 1;
            const y = arguments[1] / 100 * canvas.height;
            return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
            """,
            xmin,
            (ymin + ymax) / 2,
        )

    def drawn(self):
        """Returns which boxes of FOUND are on the canvas in their colours."""
        return [
            row
            for row, (name, _, _) in enumerate(FOUND)
            if self.color_at_left_edge(row) == [*class_color(NAMES.index(name)), 255]
        ]

    def errors(self):
        log = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def requests(self):
        """Returns the URLs that the browser asked for."""
        entries = self.driver.get_log("performance")
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return {
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        }

    def save_screenshot(self, path):
        """Saves what is visible; a person may look at it."""
        assert self.driver.save_screenshot(str(path))

    def download(self, folder):
        """Downloads the JSON; returns it with the file's name under "name"."""
        folder.mkdir()
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior",
            {"behavior": "allow", "downloadPath": str(folder)},
        )
        self["download"].click()
        # An empty file stands for it until it has come.
        self.wait(lambda: any(path.stat().st_size for path in folder.glob("*.json")))
        (path,) = folder.glob("*.json")
        return json.loads(path.read_text()) | {"name": path.name}
