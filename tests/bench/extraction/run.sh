#!/usr/bin/env bash
# What extraction and the pipeline are worth: against independent readers file by file, and against Python in one run.
#
#   tests/bench/extraction/run.sh fetch               the corpus's files of other projects, from manifest.tsv, where they are missing
#   tests/bench/extraction/run.sh table hostile       words found, order, pages, time, memory, file by file
#   tests/bench/extraction/run.sh speed pipeline      per second of processor time, against pypdf, pdfminer.six and PyMuPDF
#   tests/bench/extraction/run.sh curve memory        10 to 10,000 documents with one worker and two; a PDF of 1,000 pages
#   tests/bench/extraction/run.sh                     all of it but fetch
#
# Each part is printed, and put into docs/extraction.md in the place of its last measurement. The corpus is MILLRACE_CORPUS, or
# ../shared/corpus beside the checkout. Needs Linux, cargo, Python 3.11 or later with venv and pip, and PyPI. Other work on the machine shows in
# the figures: compare ratios.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/extraction-venv
here=tests/bench/extraction
corpus=${MILLRACE_CORPUS:-../shared/corpus}
if [ "${1:-}" = fetch ]; then
    exec python3 "$here/fetch.py" "$corpus"
fi
if [ ! -d "$corpus" ]; then
    echo "there is no corpus at $corpus: name one in MILLRACE_CORPUS (docs/extraction.md says what it is)" >&2
    exit 2
fi
if ! cmp -s "$here/requirements.txt" "$venv/ready"; then
    python3 -m venv "$venv"
    # striprtf is published as source, in Python alone.
    "$venv/bin/pip" install --quiet --only-binary :all: --no-binary striprtf --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/ready"
fi
cargo build --quiet --locked --release -p millrace-extraction-bench
if [ "$#" -eq 0 ]; then
    set -- table hostile speed pipeline curve memory
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec "$venv/bin/python" "$here/measure.py" "$target/release/extraction-bench" "$corpus" docs/extraction.md "$@"
