#!/usr/bin/env bash
# `chunk` against LangChain's `RecursiveCharacterTextSplitter` on the same texts, in one run.
#
#   tests/bench/chunking/run.sh [FILE…]
#
# Texts are made of the sentences of the sample documents, English and Chinese, with paragraphs and without; texts of your own (UTF-8) can be
# added. Needs cargo, Python 3 with venv and pip, and PyPI. Other work on the machine shows in the figures: compare ratios.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/chunking-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --only-binary :all: langchain-text-splitters
    touch "$venv/ready"
fi
cargo build --quiet --locked --release -p millrace-text --example chunking_speed
exec "$venv/bin/python" tests/bench/chunking/compare.py "$target/release/examples/chunking_speed" "$@"
