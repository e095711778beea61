"""The report in a real browser: no error, every picture shows, and what is to be clicked works."""

import argparse
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from gscodec_tools.report.command import configure, work
from report_results import scene_rows, write_pictures, write_results

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000")

FIRST = """<script>
window.found = {errors: []};
window.addEventListener("error", event => found.errors.push(String(event.message)), true);
for (const name of ["error", "warn"]) console[name] = (...words) => found.errors.push(words.join(" "));
</script>"""
LAST = """<script>
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const shown = selector => all(selector).filter(one => one.getBoundingClientRect().width > 0).length;
  found.images = all("img").map(one => one.naturalWidth);
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  found.plots = [shown("figure.psnr"), shown("figure.ssim")];
  document.getElementById("measure-ssim").click();
  found.switched = [shown("figure.psnr"), shown("figure.ssim")];
  const mark = all("figure.ssim .c0 .mark")[0], box = mark.getBoundingClientRect();
  mark.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: box.left + 4, clientY: box.top + 4}));
  found.tip = document.getElementById("tip").textContent;
  found.marks = shown(".mark");
  all("[data-toggle=gscodec]")[0].click();
  found.without = shown(".mark");
  all("[data-flip]")[1].click();
  const dialog = document.querySelector("dialog");
  found.dialog = [dialog.open, dialog.querySelector("[aria-pressed=true]").textContent];
  dialog.querySelector("img").click();
  found.flipped = dialog.querySelector("[aria-pressed=true]").textContent;
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on the PATH: none of {', '.join(BROWSERS)}")
    return found


def look(browser: str, page: Path, width: int, profile: Path) -> dict[str, Any]:
    """What the page says about itself."""
    command = [browser, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},900", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stdout[-2000:]
    found: dict[str, Any] = json.loads(unescape(match[1]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 500])
def test_the_page_works(browser: str, tmp_path: Path, width: int) -> None:
    results = write_results(tmp_path, {"garden": scene_rows("garden"), "room": scene_rows("room", 1.5)})
    for name in ("garden", "room"):
        write_pictures(results, name)
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    configure(parser)
    work(parser.parse_args([str(results), "-o", str(tmp_path / "report.html")]))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    probed = tmp_path / "probed.html"
    probed.write_text(text.replace("<head>", f"<head>{FIRST}").replace("</body>", f"{LAST}</body>"), encoding="utf-8")
    found = look(browser, probed, width, tmp_path / "profile")
    assert found["errors"] == []
    assert len(found["images"]) >= 14
    assert min(found["images"]) > 0
    assert found["overflow"] <= 0
    assert found["plots"] == [6, 0]  # (b) and (a) of the mean and of two scenes
    assert found["switched"] == [0, 6]
    assert found["tip"].startswith("gscodec q15\n3,750 bytes, 30.0 bits per splat\nSSIM ")  # the mean of two scenes
    assert found["without"] < found["marks"]
    assert found["dialog"] == [True, "gscodec"]
    assert found["flipped"] == "SPZ v4"
