"""Build the documentation site into ``milmer_cli/site/``, which ``milmer docs`` opens.

    pip install '.[docs]' && python docs/build.py

The pages are the Markdown files of ``docs/`` and ``docs/tutorials/``, CHANGELOG.md,
CONTRIBUTING.md and bench/README.md, and pages that `reference` generates from the program. They are
collected in one folder, in which links between them are adapted, and Sphinx builds it in strict
mode: a warning is an error.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from reference import generate

DOCS = Path(__file__).parent
ROOT = DOCS.parent
SITE = ROOT / "milmer_cli" / "site"
NOTE = "README.md"
"""The only file of `SITE` that is not built."""
OTHER_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "bench/README.md": "benchmarks.md",
}
"""Pages outside of ``docs/`` -> their names in the site."""
SCHEMAS = ROOT / "milmer_cli" / "formats" / "schemas"
"""Files that the site contains besides the pages."""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def page_names() -> dict[Path, str]:
    """Return the pages of the site: path in the repository -> name in the site."""
    pages = {path: path.name for path in sorted(DOCS.glob("*.md"))}
    pages |= {path: f"tutorial-{path.name}" for path in sorted(DOCS.glob("tutorials/*.md"))}
    return pages | {ROOT / path: name for path, name in OTHER_PAGES.items()}


def adapt_links(text: str, page: Path) -> str:
    """Let the links of a page point to pages and schemas of the site; name other files as code."""
    names = page_names()

    def adapted(link: re.Match[str]) -> str:
        image, label, target, anchor = link.groups(default="")
        if not target or re.match(r"[a-z]+:", target):
            return link.group()
        path = (page.parent / target).resolve()
        if image:
            return f"![{label}]({path.relative_to(DOCS).as_posix()})"
        if path in names:
            return f"[{label}]({names[path]}{anchor})"
        if path.parent == SCHEMAS:
            return f"[{label}](schemas/{path.name})"
        return f"{label} (`{path.relative_to(ROOT).as_posix()}`)"

    return LINK.sub(adapted, text)


def add_navigation(start_page: str, generated: dict[str, str]) -> str:
    """Add the generated pages to the start page, and a hidden table of contents to each section.

    Parameters
    ----------
    start_page
        Text of the start page. Each section that begins with ``## `` lists pages as links.
    generated
        File name of a generated page -> its title.
    """
    head, *sections = re.split(r"^## ", start_page, flags=re.MULTILINE)
    parts = [head]
    for section in sections:
        title = section.partition("\n")[0]
        text = section.rstrip()
        if title == "Reference":
            text += "".join(f"\n- [{label}]({name})" for name, label in generated.items())
        pages = re.findall(r"^- \[([^\]]*)\]\(([\w-]+)\.md\)", text, re.MULTILINE)
        listed = "\n".join(f"{label} <{name}>" for label, name in pages)
        parts.append(f"## {text}\n\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{listed}\n```\n")
    return "\n".join(parts)


def collect_pages(folder: Path) -> None:
    """Write all sources of the site to an empty folder."""
    folder.mkdir(parents=True)
    generated = generate(folder)
    for page, name in page_names().items():
        text = adapt_links(page.read_text(encoding="utf-8"), page)
        if name == "index.md":
            text = add_navigation(text, generated)
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copytree(DOCS / "images", folder / "images")
    shutil.copytree(SCHEMAS, folder / "schemas")


def build(out: Path) -> int:
    """Build the site into a folder, and return the exit code of Sphinx.

    Parameters
    ----------
    out
        Folder of the site, which is replaced; a build that fails leaves it as it was.

    Raises
    ------
    SystemExit
        The folder contains anything but a site.
    """
    require_site(out)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        collect_pages(work / "pages")
        code = _run_sphinx(work)
        if code == 0:
            _replace(out, work / "html")
    return code


def _run_sphinx(work: Path) -> int:
    """Build the pages in the folder ``pages`` into the folder ``html``, in strict mode."""
    options = ["-W", "--keep-going", "-q", "-b", "html", "-c", DOCS, "-d", work / "cache"]
    return build_main([str(option) for option in (*options, work / "pages", work / "html")])


def require_site(out: Path) -> None:
    """Check that a folder is missing, empty, or contains a site that was built before.

    Raises
    ------
    SystemExit
        It contains anything else, which the build would remove.
    """
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.exists() and not out.is_dir():
        raise SystemExit(f"{out} is not a folder. Choose another one with --out.")
    if names - {NOTE} and not {"index.html", "searchindex.js"} <= names:
        raise SystemExit(f"{out} contains other files than a site. Choose another one with --out.")


def _replace(out: Path, built: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for entry in out.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != NOTE:
            entry.unlink()
    unused = shutil.ignore_patterns("objects.inv", ".buildinfo", "_sources")
    shutil.copytree(built, out, dirs_exist_ok=True, ignore=unused)


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("--out", type=Path, default=SITE, help="folder of the site")
    return build(parser.parse_args().out.resolve())


if __name__ == "__main__":
    sys.exit(main())
