"""The corpus's files of other projects, at the commits that manifest.tsv names: fetch.py CORPUS

They stay out of this repository: their licences are those of their projects.
"""

import csv
import pathlib
import sys
import urllib.parse
import urllib.request


def main():
    corpus = pathlib.Path(sys.argv[1])
    failed = 0
    with open(corpus / "manifest.tsv", newline="") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            place = corpus / row["file"]
            if row["commit"] == "-" or place.exists():
                continue
            address = "/".join(("https://raw.githubusercontent.com", row["source"], row["commit"], urllib.parse.quote(row["path"])))
            try:
                with urllib.request.urlopen(address, timeout=60) as answer:
                    data = answer.read()
            except OSError as error:
                print(f"{row['file']}: {error}", file=sys.stderr)
                failed += 1
                continue
            if len(data) != int(row["bytes"]):
                print(f"{row['file']}: {len(data)} bytes, the manifest says {row['bytes']}", file=sys.stderr)
                failed += 1
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            print(row["file"])
    sys.exit(1 if failed else 0)


main()
