# A fresh machine needs Python 3.11 or later and make; every target installs what it needs into .venv first.
.PHONY: demo test check bench docs tables install clean

demo: install
	.venv/bin/transfuse demo --out demo

test: install
	scripts/test

check: install
	scripts/check

bench: install
	scripts/bench

tables: install
	.venv/bin/python scripts/tables.py

docs: install
	.venv/bin/mkdocs build --strict

install:
	@scripts/install

clean:
	rm -rf demo site dist .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
