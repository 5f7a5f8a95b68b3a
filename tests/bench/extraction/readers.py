"""Pages per second of processor time of another reader: readers.py NAME ROUNDS LIST

Over the first files to warm up, then that many rounds; a line of JSON.
"""

import json
import os
import sys
import time

import independent


READERS = {
    "pypdf": independent.pypdf_pages,
    "pdfminer.six": independent.pdfminer_pages,
    "PyMuPDF": independent.pymupdf_pages,
}


def main():
    name, rounds, listed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    read = READERS[name]
    with open(listed) as lines:
        files = lines.read().splitlines()
    refused = []

    def over(some):
        pages = 0
        for path in some:
            try:
                pages += len(read(path))
            except Exception as error:
                refused.append(f"{os.path.basename(path)}: {type(error).__name__}")
        return pages

    over(files[:10])
    refused.clear()
    begun, before = time.perf_counter(), os.times()
    pages = sum(over(files) for _ in range(rounds))
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    said = {"pages": pages, "seconds": time.perf_counter() - begun, "cpu": cpu, "refused": sorted(set(refused))}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
