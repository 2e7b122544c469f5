"""Chinese medical questions, answers, queries and trial criteria without annotation, for pre-training."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from transfuse.published import Raw
from transfuse.text import Document

__all__ = ["TEXTS"]


def _texts(path: Path) -> Iterator[str]:
    """All texts of a file: queries and titles of JSON lines; the cells of a table behind its first, a label."""
    with path.open(encoding="utf-8", newline="") as handle:
        if path.suffix == ".json":
            for line in handle:
                record = json.loads(line)
                yield record["query"]
                yield from (document["title"] for document in record["documents"])
        else:
            quoted = path.parent.name == "cMedQA"
            for row in csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE):
                yield from row[1:]


def _read(path: Path) -> Iterator[Document]:
    """Every text of a file once, since queries and questions come back with each answer."""
    seen: set[str] = set()
    for text in map(str.strip, _texts(path)):
        if text and text not in seen:
            seen.add(text)
            yield Document(f"{path.parent.name}/{path.stem}/{len(seen)}", text)


TEXTS = (
    Raw(
        name="zh-medical-text",
        title="Chinese medical texts of ChineseBLUE: questions, answers, queries, titles, criteria",
        language="zh",
        licence="Apache-2.0",
        citation="Zhang, Jia, Yin, Dong, Gao, Hua: Conceptualized representation learning for Chinese biomedical "
        "text mining, 2020",
        archive="zh-medical-text",
        files={
            "data/cMedIC/train.txt": "680c440781162c14527d018a8851b09ee512700700a54d69a027fa4d9f8093ab",
            "data/cMedIC/dev.txt": "3a36985bd5b748abcadf397407eb9e88b4922796e8f916b42718aaf080fd56e2",
            "data/cMedIC/test.txt": "12d2529e7bce924abbaa7bc079bbfd3fd564cf03ff55f9c1e3e32e7ac4ba57f7",
            "data/cMedIR/dev.json": "99014dca7525aae126da6e9066fa860be94cc337053c7c2d67dc6dba87021af5",
            "data/cMedIR/test.json": "321477fe8132ed9b72490d0236e084a564b62dd244b9d79ffa2da5ffb6396d2d",
            "data/cMedQA/dev.txt": "eeb974e3ecec4eb9f9f3834ac2d5844cb91d10aadf52811c2d096d9bfc15868c",
            "data/cMedQA/test.txt": "0fc0769ee9d99abcaeade4ffae70a0980dd8a4a3d9f0a4fb861b4934292a1578",
            "data/cMedQQ/train.txt": "89ff92e6e909505df1cd5b66efe1f8bafb7c45b3760e39ef84c6346a34c8d8d4",
            "data/cMedQQ/dev.txt": "1abdea1b2dc1159dddc7fab423197b60636e1a522377907fcdb56da3539550a2",
            "data/cMedQQ/test.txt": "b6801497a81b392fd1e431282c12cdd8e38c6e15f7ac223bdc0553b5cdd7720e",
            "data/cMedTC/train.txt": "823806f1f4ee0ecbd14318f6ff72fc87580c9edccd5f4e73359c43291aaa277e",
            "data/cMedTC/dev.txt": "9a552ce904275aec48cbd06313eceaddfc94461d0475c966cacfe0cae3030b4e",
            "data/cMedTC/test.txt": "b38f3751bcd8560be5c5f5316b3cecc8e59d4a436246f9d8d5dc38479bbbe78c",
        },
        documents=96403,
        reader=_read,
        notes=(
            "The train files of cMedIR and cMedQA could not be had.",
            "A text that comes back in one file is given once.",
        ),
    ),
)
