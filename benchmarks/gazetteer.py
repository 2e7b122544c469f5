"""How fast a gazetteer is built and how fast it goes through text, on one core: ``python benchmarks/gazetteer.py``.

The names are registered lexicons, the text the beginning of a registered collection.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice

from transfuse import corpora, lexicons
from transfuse.gazetteer import CASES, Gazetteer, Matching


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lexicons", nargs="*", default=["disease-ontology", "mesh-chemicals", "human-genes"])
    parser.add_argument("--text", default="en-text-open")
    parser.add_argument("--documents", type=int, default=2000)
    given = parser.parse_args()
    documents = list(islice(corpora.raw(given.text), given.documents))
    characters = sum(len(document.text) for document in documents)
    terms = [term for name in given.lexicons for term in lexicons.terms(name)]
    print(f"{len(terms):,} names, {len(documents):,} documents, {characters:,} characters")
    for case in CASES:
        began = time.process_time()
        gazetteer = Gazetteer(terms, Matching(case=case))
        built = time.process_time()
        found = sum(len(document.entities) for document in gazetteer.tag(documents))
        speed = characters / (time.process_time() - built)
        print(f"{case:9} built in {built - began:.2f} s, {speed / 1e6:.1f} million characters/s, {found:,} mentions")


if __name__ == "__main__":
    main()
