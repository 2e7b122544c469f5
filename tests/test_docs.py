"""What the documentation says, runs; and all of it can be built and reached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITH_CODE = [page for page in PAGES if FENCE.search(page.read_text("utf-8"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_python_of_a_page_runs(page, tmp_path, monkeypatch):
    # One namespace a page: later blocks go on where earlier ones ended. Empty lines keep line numbers right.
    monkeypatch.chdir(tmp_path)
    text = page.read_text("utf-8")
    module = ModuleType(page.stem)  # dataclasses look up the module in which they are defined
    monkeypatch.setitem(sys.modules, page.stem, module)
    for block in FENCE.finditer(text):
        before = "\n" * text[: block.start(1)].count("\n")
        exec(compile(before + block[1], str(page), "exec"), module.__dict__)


def test_some_pages_have_code():
    assert len(WITH_CODE) >= 5


def test_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    variables = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "core" / "index.html").read_text("utf-8").count("doc-heading") > 10


def test_every_module_has_a_place_in_the_reference():
    package = ROOT / "src" / "transfuse"
    whole = {"formats", "corpora", "methods", "nn"}  # described as one, and their files by discovery
    modules = whole | {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in (*package.glob("[!_]*.py"), *package.glob("*/[!_]*.py"))
        if path.parent.name not in whole | {"cli"}  # which is documented by what it does
    }
    pages = "".join(page.read_text("utf-8") for page in PAGES if page.parent.name == "reference")
    named = re.findall(r"^::: transfuse\.([\w.]+)$", pages, re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) - {"nn.divergence"} == modules


@pytest.mark.skipif(not util.find_spec("transfuse.cli"), reason="no command line yet")
def test_every_verb_of_the_command_line_is_shown_somewhere():
    import typer

    from transfuse.cli import app

    def verbs(command, name):
        below = getattr(command, "commands", {})
        return [v for child, sub in below.items() for v in verbs(sub, f"{name} {child}")] if below else [name]

    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert [verb for verb in verbs(typer.main.get_command(app), "transfuse") if verb not in text] == []


def test_links_between_files_outside_the_site_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8")):
            assert (ROOT / target).exists(), f"{page.name} links to {target}"
