"""Rewrite the generated tables in the README and the reference pages; with --check only say which are out of date.

A table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``, NAME being one of `TABLES`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from transfuse import corpora, formats, methods
from transfuse.experiments.printed import means_grid, means_title, rows_grid, tasks_grid
from transfuse.experiments.reproduce import find_reproductions, read_reproduction
from transfuse.reporting.grids import machines_told
from transfuse.reporting.rounds import Round, rounds_grid

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "transfuse"
PAGES = (
    "README.md",
    *(f"docs/reference/{page}.md" for page in ("methods", "corpora", "formats")),
    "docs/decisions/index.md",
    "docs/explain/architecture.md",
    "docs/explain/features.md",
    "docs/how-to/compare.md",
    *(f"docs/explain/{paper}-results.md" for paper in ("la-dtl", "giorgi-bader", "muct", "mtl", "transformers")),
)
LANGUAGES = {"en": "English", "zh": "Chinese"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def folders_table() -> str:
    """One row a folder of the package: its name and the first sentence of what it says of itself."""
    rows = []
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        told = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        rows.append((f"`{path.parent.name}`", told.split("\n")[0]))
    return table(("Folder", "What is in it"), rows)


def decisions_list() -> str:
    """A line a decision, with its title."""
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    titles = [page.read_text("utf-8").partition("\n")[0].removeprefix("# ") for page in pages]
    return "\n".join(f"- [{title}]({page.name})" for title, page in zip(titles, pages, strict=True))


def methods_table() -> str:
    """One row a method: its name and the first line of its file."""
    return table(("Method", "What it does"), ((f"`{name}`", methods.describe(name)) for name in methods.names()))


def formats_table() -> str:
    """One row a format: its name, the endings it goes by, and its options."""
    rows = []
    for name in formats.names():
        reading = ", ".join(f"`{option}={value}`" for option, value in formats.options(name, "read").items())
        writing = ", ".join(f"`{option}={value}`" for option, value in formats.options(name, "write").items())
        rows.append((f"`{name}`", reading, writing))
    return table(("Format", "Options to read with", "Options to write with"), rows)


def corpora_table() -> str:
    """One row for each set of types, with the corpora that annotate it, by language."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in corpora.names():
        facts = corpora.info(name)
        types = sorted(set(facts.common.rename.values()))
        kind = " and ".join(types) if len(types) <= 2 else "more types"
        found.setdefault(kind, {}).setdefault(facts.language, []).append(f"`{name}`")
    last = sorted(found, key=lambda kind: (kind == "more types", kind))
    rows = ((kind, *(", ".join(found[kind].get(code, ())) for code in LANGUAGES)) for kind in last)
    return table(("Annotated", *LANGUAGES.values()), rows)


def corpora_facts() -> str:
    """One row a corpus, with its size and licence."""
    rows = []
    for name in corpora.names():
        facts = corpora.info(name)
        size = "<br>".join(f"{split} {part.documents:,} / {part.entities:,}" for split, part in facts.splits.items())
        labels = ", ".join(facts.labels[:8]) + (", ..." if len(facts.labels) > 8 else "")
        rows.append((f"`{name}`", facts.title, LANGUAGES[facts.language], labels, facts.units, size, facts.licence))
    return table(("Name", "Title", "Language", "Labels", "Units", "Units / entities", "Licence"), rows)


@cache
def figures_of(name: str) -> dict[str, Any]:
    """What is done of a shipped comparison; kept beside its records, unless this is only a check."""
    found = read_reproduction(name, ROOT / "results")
    return found.figures() if "--check" in sys.argv else found.write_figures()


def results(name: str) -> str:
    """What is done of a shipped comparison, beside the published numbers."""
    figures = figures_of(name)
    texts = [f"{figures['done']:,} of {figures['total']:,} runs are done."]
    if figures["done"]:
        texts.append(f"Chosen by: {'; '.join(figures['selection'])}. p is corrected for {figures['tests']:,} tests.")
        texts.append(f"Ran on: {machines_told(figures['machines'])}.")
    parts = [" ".join(texts)]
    if figures["place"]:
        parts.append(f"Published: {figures['place']}. {figures['note']}")
    if figures["means"]:
        parts += [f"{means_title(figures['means'])}:", table(*means_grid(figures["means"]))]
    for each in figures["tables"]:
        of = f"{100 * each['share']:g} % of the target, {each['labelled']:,} labelled documents"
        parts += [f"**{each['task']}** ({of}):", table(*rows_grid(each["rows"]))]
        if told := each.get("rounds"):
            rounds = {name: [Round(**one) for one in rows if one["number"]] for name, rows in told.items()}
            parts += ["Rounds of pseudo-labelling:", table(*rounds_grid(rounds))]
    return "\n\n".join(parts)


def wide(name: str) -> str:
    """A shipped comparison's tasks and methods in one table."""
    tables = figures_of(name)["tables"]
    return table(*tasks_grid(tables)) if tables else "No run is done."


def types(name: str) -> str:
    """Precision, recall and F1 by type, strict and relaxed, of a shipped comparison's tables."""
    figures = figures_of(name)
    grids = {f"**{each['task']}**": each["types"] for each in figures["tables"] if each.get("types")}
    return "\n\n".join(part for task, grid in grids.items() for part in (task, table(*grid))) or "No run is done."


TABLES: Mapping[str, Callable[[], str]] = {
    "decisions": decisions_list,
    "folders": folders_table,
    "methods": methods_table,
    "formats": formats_table,
    "corpora": corpora_table,
    "corpora-facts": corpora_facts,
    **{name.replace("/", "-"): partial(results, name) for name in find_reproductions()},
    **{f"{name.replace('/', '-')}-types": partial(types, name) for name in find_reproductions()},
    **{f"{name.replace('/', '-')}-wide": partial(wide, name) for name in find_reproductions()},
}


def rewrite(text: str) -> str:
    """Fill every table of a page. Raises KeyError for a marker that names no table."""
    marked = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n.*?<!-- /(?P=name) -->", re.DOTALL)
    return marked.sub(lambda m: f"<!-- {m['name']} -->\n{TABLES[m['name']]()}\n<!-- /{m['name']} -->", text)


def stale() -> dict[Path, str]:
    """Pages that are out of date, with what they should say."""
    pages = [ROOT / page for page in PAGES]
    wanted = {page: rewrite(page.read_text(encoding="utf-8")) for page in pages if page.exists()}
    return {page: text for page, text in wanted.items() if page.read_text(encoding="utf-8") != text}


def main() -> int:
    """Rewrite or check; 1 where a check found something."""
    found = stale()
    for page, text in found.items():
        print(page.relative_to(ROOT))
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
    return 1 if found and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
