"""A page of a sweep, open in a browser."""

from pathlib import Path

import matplotlib.image
import numpy as np

SCREENSHOT = Path(__file__).parents[1] / "out" / "page.png"


class Page:
    """One open page, and the actions of a reader."""

    def __init__(self, browser, path):
        self.said, self.asked = [], []
        self.tab = browser.new_page(viewport={"width": 1500, "height": 1250})
        self.tab.on("console", lambda m: m.type in ("error", "warning") and self.said.append(m))
        self.tab.on("pageerror", lambda error: self.said.append(error))
        self.tab.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.devtools = self.tab.context.new_cdp_session(self.tab)
        self.devtools.send("Performance.enable")
        self.tab.goto(path.as_uri())
        self.tab.wait_for_selector("body[data-ready]", timeout=20_000)
        self.url = path.as_uri()

    def processor_seconds(self):
        """Processor time that the page took so far, whatever else the machine does."""
        found = self.devtools.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in found if metric["name"] == "ThreadTime")

    def place(self, x, y):
        """Position of a cell of the plane on the screen, in pixels."""
        return self.tab.evaluate(
            """([x, y]) => {
                const view = Bokeh.index.get_by_id(Bokeh.documents[0].roots()[0].id);
                const { left, top } = view.el.getBoundingClientRect();
                const { x_scale, y_scale } = view.frame;
                return [left + x_scale.compute(x), top + y_scale.compute(y)];
            }""",
            [x, y],
        )

    def click(self, x, y):
        self.tab.mouse.click(*self.place(x, y))
        self.tab.wait_for_timeout(400)  # so that two clicks are not a double click

    def titles(self):
        return [t for t in self.tab.locator(".panels figcaption").all_inner_texts() if t]

    def curve(self, number):
        """The data of a panel: t, low, high, mean; of one below the losses, t and value."""
        columns = self.tab.evaluate(
            """number => {
                const { data } = Bokeh.documents[0].roots()[number].renderers[0].data_source;
                return Object.fromEntries(
                    Object.entries(data).map(([k, v]) => [k, Array.from(v, String)]));
            }""",
            number,
        )
        return {name: np.array(values, float) for name, values in columns.items()}

    def colour(self, x, y):
        """Colour of a pixel."""
        path = SCREENSHOT.with_name("pixels.png")
        self.tab.wait_for_timeout(200)
        self.tab.screenshot(path=path)
        left, top = self.place(x, y)
        return matplotlib.image.imread(path)[int(top), int(left), :3]
