"""Continuous integration must not turn green by passing over the real corpora."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
SETTINGS = "[pytest]\ntestpaths = tests\nmarkers = mirror: real corpora\n"
PLAIN = "def test_plain(): pass\n"
MARKED = "import pytest\n@pytest.mark.mirror\ndef test_real(): pass\n"
SKIPPED = "import pytest\n@pytest.mark.mirror\ndef test_real(): pytest.skip('no such archive')\n"
XFAILED = "import pytest\n@pytest.mark.mirror\ndef test_real(): pytest.xfail('known')\n"


def run(folder: Path, body: str, *args: str, ci: str = "true", mirror: str = ".") -> subprocess.CompletedProcess[str]:
    (folder / "tests").mkdir()
    shutil.copy(CONFTEST, folder / "tests")
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "tests" / "test_it.py").write_text(PLAIN + body)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TRANSFUSE_")) and k != "CI"}
    variables |= {"CI": ci, "TRANSFUSE_MIRROR": mirror, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("body", "args", "options", "status", "words"),
    [
        (MARKED, ("-n", "1"), {}, 0, "2 passed"),
        (XFAILED, (), {}, 0, "1 xfailed"),
        ("", (), {}, 1, "no test marked mirror ran"),
        (SKIPPED, (), {}, 1, "yet skipped: tests/test_it.py::test_real"),
        (MARKED, (), {"mirror": "not-there"}, 1, "yet skipped: tests/test_it.py::test_real"),
        ("", ("-k", "plain"), {}, 0, "1 passed"),
        ("", ("tests",), {}, 0, "1 passed"),
        ("", (), {"ci": ""}, 0, "1 passed"),
        (MARKED, (), {"mirror": ""}, 0, "1 passed, 1 skipped"),
    ],
)
def test_guard(tmp_path, body, args, options, status, words):
    done = run(tmp_path, body, *args, **options)
    assert words in done.stdout
    assert done.returncode == status, done.stdout
