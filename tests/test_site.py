"""The documentation site: its pages, its strict build, and the built pages in a browser."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from helpers import CHROMIUM, run_python
from milmer_cli.cli.app import COMMANDS, _load_command
from milmer_cli.settings.docs import property_schemas, setting_doc

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md") if path.name != "index.md")
TUTORIALS = sorted(path.name for path in DOCS.glob("tutorials/*.md"))
PHONE_WIDTH = 390
THEME_MESSAGE = r'"Changed to (light|dark|auto) mode\."'
"""What the theme writes to the console when its button is clicked."""


@pytest.mark.parametrize("page", [*PAGES, *(f"tutorials/{name}" for name in TUTORIALS)])
def test_start_page_lists_every_page_once(page):
    start_page = (DOCS / "index.md").read_text(encoding="utf-8")
    assert len(re.findall(rf"^- \[[^\]]+\]\({re.escape(page)}\)$", start_page, re.MULTILINE)) == 1


@pytest.fixture(scope="module")
def generated():
    """Text of the pages of commands and settings, by file name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        commands = importlib.import_module("reference.commands").command_pages()
        settings = importlib.import_module("reference.settings").settings_page()
    return {page.name: page.text for page in (*commands, settings)}


def test_reference_describes_every_setting(generated):
    described = re.findall(r"^:::\{setting\} (\S+)\n(.*)$", generated["settings.md"], re.MULTILINE)
    assert described == [(key, setting_doc(key)) for key in property_schemas()]
    entry = generated["settings.md"].partition("{setting} train.protocol\n")[2].partition(":::")[0]
    assert '- Default: `"trial"`\n- Preset published: `"segment"`\n' in entry
    assert "- Flag: `--protocol`" in entry


@pytest.mark.parametrize("name", COMMANDS)
def test_reference_describes_every_flag_of_every_command(name, generated):
    page = generated[f"command-{name}.md"]
    assert COMMANDS[name] in page.replace("`", "")
    command = _load_command(name)
    members = getattr(command, "commands", {})
    for subname, one in members.items() or [("", command)]:
        title = f"milmer {name} {subname}".strip()
        text = page.partition(f":::{{command}} {title}\n")[2].partition(":::{command}")[0]
        flags = [p.opts[0] for p in one.params if p.opts[0].startswith("--")]
        assert [flag for flag in flags if f"\n`{flag}" not in text] == []


class Links(HTMLParser):
    """Targets and anchors of a page.

    Attributes
    ----------
    targets
        Values of ``href`` and ``src``.
    loaded
        Those that a browser loads with the page.
    anchors
        Values of ``id``.
    """

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if anchor := named.get("id"):
            self.anchors.add(anchor)
        for target in filter(None, (named.get("href"), named.get("src"))):
            self.targets.append(target)
            if tag != "a":
                self.loaded.append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. The build is strict: Sphinx treats warnings as errors."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("documentation") / "site"
    done = run_python(DOCS / "build.py", "--out", folder, timeout_s=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_build_replaces_nothing_but_a_site(tmp_path, monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS)
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_run_sphinx", lambda work: pytest.fail("the build has started"))
    (tmp_path / "thesis.md").write_text("mine")
    for path in (tmp_path, tmp_path / "thesis.md"):
        with pytest.raises(SystemExit, match="Choose another one with --out"):
            module.build(path)
    assert (tmp_path / "thesis.md").read_text() == "mine"
    (tmp_path / "site").mkdir()
    for names in ([], ["README.md"], ["index.html", "searchindex.js", "old.html"]):
        for name in names:
            (tmp_path / "site" / name).touch()
        module.require_site(tmp_path / "site")


@pytest.mark.slow
def test_site_has_no_broken_link_and_loads_nothing_from_a_network(site):
    pages = {page.name: Links(page) for page in site.glob("*.html")}
    assert {page.replace(".md", ".html") for page in PAGES} <= pages.keys()
    assert {f"tutorial-{name.replace('.md', '.html')}" for name in TUTORIALS} <= pages.keys()
    for name, links in pages.items():
        assert not [target for target in links.loaded if urlsplit(target).netloc], name
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = site / unquote(parts.path) if parts.path else site / name
            assert file.is_file(), f"{name}: {target}"
            if parts.fragment and file.suffix == ".html":
                assert unquote(parts.fragment) in pages[file.name].anchors, f"{name}: {target}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", style.read_text()), style


@pytest.mark.slow
def test_site_contains_equations_as_mathml_and_links_between_docstrings(site):
    model = (site / "model.html").read_text(encoding="utf-8")
    assert model.count('<div class="equation"><math') >= 5
    api = (site / "api-model.html").read_text(encoding="utf-8")
    assert 'href="#milmer_cli.models.MilmerConfig"' in api


def browse(page: str, folder: Path, *flags: str) -> str:
    """Open an address in the browser, offline, and return the document after its scripts ran.

    The page must not write to the console, and request nothing from a network.
    """
    requests = folder / "requests.json"
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *(f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr"),
            f"--log-net-log={requests}",
            *("--window-size=1280,900", "--dump-dom", *flags, page),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    console = re.findall(r".*(?:CONSOLE|Refused to).*", done.stderr)
    assert not [line for line in console if not re.search(THEME_MESSAGE, line)]
    # the browser asks for updates of its own; requests of pages have the origin of a file
    of_page = r'"network_isolation_key":"file:.*?"url":"(https?:[^"]*)"'
    assert not re.findall(of_page, requests.read_text(encoding="utf-8"))
    return done.stdout


PROBE = """<!doctype html><meta charset="utf-8"><title>probe</title>
<script>
const pages = PAGES, results = {};
async function measure(page) {
  const frame = document.createElement("iframe");
  frame.style = "width: WIDTHpx; height: 800px; border: 0";
  const loaded = new Promise(resolve => { frame.onload = resolve; });
  frame.src = page;
  document.body.append(frame);
  await loaded;
  const inner = frame.contentDocument, colors = new Set();
  const toggle = inner.querySelector(".theme-toggle");
  for (let step = 0; step < 3; step++) {
    toggle.click();
    colors.add(frame.contentWindow.getComputedStyle(inner.body).backgroundColor);
  }
  const root = inner.documentElement, article = inner.querySelector("article");
  const isCut = element => {  // beyond the right edge, and not in a box that scrolls
    if (element.getBoundingClientRect().right <= root.clientWidth + 1) return false;
    for (let box = element.parentElement; box !== article; box = box.parentElement) {
      if (frame.contentWindow.getComputedStyle(box).overflowX === "auto") return false;
    }
    return true;
  };
  const cut = [...article.querySelectorAll("*")].filter(isCut).map(e => e.outerHTML.slice(0, 80));
  const hidden = cut.slice(0, 3).map(encodeURI);
  results[page] = [root.scrollWidth - root.clientWidth, hidden, colors.size];
  frame.remove();
}
window.onload = async () => {
  for (const page of pages) await measure(page);
  document.body.innerHTML = "<pre>" + JSON.stringify(results) + "</pre>";
};
</script><body></body>
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_site_pages_fit_a_phone_and_have_a_light_and_a_dark_theme(site, tmp_path):
    pages = sorted(page.as_uri() for page in site.glob("*.html"))
    probe = PROBE.replace("PAGES", json.dumps(pages)).replace("WIDTH", str(PHONE_WIDTH))
    (tmp_path / "probe.html").write_text(probe, encoding="utf-8")
    # the probe may look into pages of other files; the pages themselves need no such permission
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=120000")
    document = browse((tmp_path / "probe.html").as_uri(), tmp_path, *flags)
    results = json.loads(document.rpartition("<pre>")[2].partition("</pre>")[0])
    assert results == {page: [0, [], 2] for page in pages}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("reject_ptp_uv", "settings.html#setting-quality.reject_ptp_uv"),
        ("cross-validate", "command-evaluate.html"),
        ("PreparedDataset", "api-store.html#milmer_cli.data.prepared_dataset.PreparedDataset"),
    ],
)
def test_site_search_works_from_a_file(site, tmp_path, query, target):
    address = f"{(site / 'search.html').as_uri()}?q={query}"
    document = browse(address, tmp_path, "--virtual-time-budget=20000")
    results = re.findall(r'<a href="([^"]*)"', document.partition('id="search-results"')[2])
    assert any(unquote(result).startswith(target) for result in results), results
