"""Promises about the project itself: its modules, its imports, its files."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module, util
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "transfuse"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Spelled in two pieces, so that this file does not hold what it forbids.
NOWHERE = ["/" + "work/", "/" + "home/", "/" + "Users/", "<<<" + "<<<<", "TO" + "DO", "FIX" + "ME", "XX" + "X"]
NOT_IN_SOURCE = [
    r"import pickle",
    r"torch\.load\(",
    r"(?<!\.)\beval\(",
    r"(?<!\.)\bexec\(",
    r"shell=True",
    r"type: ignore(?!\[)",
]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def defined(path: Path) -> set[str]:
    """Names of the module's own functions, classes, variables and imports."""
    names = set()
    for node in tree(path).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.Assign():
                names |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom() | ast.Import():
                names |= {alias.asname or alias.name for alias in node.names}
    return names


def declared(path: Path) -> list[str]:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


@cache
def asked_for() -> dict[str, set[str]]:
    """By module, the names that other modules take from it."""
    asked: dict[str, set[str]] = {}
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("transfuse"):
                asked.setdefault(node.module, set()).update(alias.name for alias in node.names)
    return asked


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_all_is_exact(path):
    # Public functions and classes, and constants as far as another module takes them: no more and no less.
    names = declared(path)
    assert names == sorted(set(names), key=names.index), "a name stands twice"
    own = {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    parents = [module_name(other).rpartition(".") for other in MODULES]
    submodules = {child for parent, _, child in parents if parent == module_name(path)}
    wanted = {name for name in own | (asked_for().get(module_name(path), set()) - submodules) if name[0] != "_"}
    assert wanted - set(names) == set(), "missing in __all__"
    assert set(names) - defined(path) == set(), "not there at all"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path):
    docstring = ast.get_docstring(tree(path)) or ""
    assert len(docstring.partition("\n")[0]) > 20
    assert docstring.partition("\n\n")[0].rstrip()[-1] in ".:)"


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "benchmarks").glob("*.py")), ROOT / "scripts" / "tables.py"], ids=name_of
)
def test_what_benchmarks_and_scripts_take_from_the_package_is_there(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "transfuse":
            module = import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or util.find_spec(f"{node.module}.{alias.name}"), alias.name


def test_no_module_is_called_utils():
    assert not [path for path in MODULES if re.search(r"util|helper|common|misc", path.stem)]


def test_forbidden_words_are_nowhere():
    shown = [
        path for path in ROOT.iterdir() if path.name in {".ci", ".importlinter", ".gitignore"} or path.name[0] != "."
    ]
    folders = [
        path
        for path in shown
        if path.is_dir() and path.name in {".ci", "src", "tests", "docs", "scripts", "benchmarks", "recipes"}
    ]
    files = [path for path in shown if path.is_file()] + [
        p for folder in folders for p in folder.rglob("*") if p.is_file()
    ]
    for path in files:
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".html", ".js", ".css", ""}:
            text = path.read_text("utf-8")
            assert not [word for word in NOWHERE if word in text], name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_unsafe_in_the_source(path):
    text = path.read_text("utf-8")
    assert not [pattern for pattern in NOT_IN_SOURCE if re.search(pattern, text)]


def loaded_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_is_cheap():
    heavy = {"torch", "numpy", "scipy", "gensim", "bioc", "lxml", "pooch", "pydantic", "rich", "typer", "regex"}
    assert not loaded_after("import transfuse") & heavy


def test_modules_that_read_and_score_do_without_torch():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    modules = contracts["importlinter:contract:torch"]["source_modules"].split()
    assert len(modules) > 10
    assert "torch" not in loaded_after(f"import {', '.join(modules)}")


@pytest.mark.skipif(not util.find_spec("transfuse.cli"), reason="no command line yet")
def test_help_is_cheap():
    loaded = loaded_after(
        "sys.argv = ['transfuse', '--help']\nfrom transfuse.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    assert not loaded & {"torch", "numpy", "scipy", "gensim", "bioc", "lxml", "pooch"}


def test_every_requirement_is_pinned_to_a_version_it_allows():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    for text in [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(r for e in extras for r in e),
    ]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


@pytest.mark.parametrize("path", [ROOT / ".ci" / "run", *sorted((ROOT / "scripts").glob("[!_.]*"))], ids=name_of)
def test_scripts_are_sound(path):
    if path.suffix == ".py":
        ast.parse(path.read_text("utf-8"))
    elif path.is_file():
        assert os.access(path, os.X_OK)
        assert "set -euo pipefail" in path.read_text("utf-8")
        subprocess.run(["bash", "-n", path], check=True)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_generated_tables_are_up_to_date():
    command = [sys.executable, ROOT / "scripts" / "tables.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"out of date, 'make tables' rewrites them: {done.stdout}{done.stderr}"
