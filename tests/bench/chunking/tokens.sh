#!/usr/bin/env bash
# The estimate of tokens against the tokenizer `cl100k_base`, by language.
#
#   tests/bench/chunking/tokens.sh [FILE…]
#
# Needs cargo, Python 3 with venv and pip, and PyPI (bpe-openai brings the tokenizer's table).
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/tokens-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --only-binary :all: bpe-openai
    touch "$venv/ready"
fi
cargo build --quiet --locked --release -p millrace-text --example chunking_speed
exec "$venv/bin/python" tests/bench/chunking/tokens.py "$target/release/examples/chunking_speed" "$@"
