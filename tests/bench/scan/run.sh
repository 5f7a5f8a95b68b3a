#!/usr/bin/env bash
# The exact scan against numpy, faiss and a plain streaming read of the same memory, in one run.
#
#   tests/bench/scan/run.sh [COUNT [ROUNDS]]        (100000 15)
#
# Needs cargo, Python 3 with venv and pip, PyPI, and 3 GB of memory. Other work on the machine shows in the figures: compare ratios.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/bench-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --only-binary :all: numpy faiss-cpu threadpoolctl
    touch "$venv/ready"
fi
# millrace-vectors is optimised in every profile; ${PROFILE:-dev} saves building all dependencies once more.
profile=${PROFILE:-dev}
cargo build --quiet --locked -p millrace-vectors --example scan_points --profile "$profile"
[ "$profile" = dev ] && folder=debug || folder=$profile
exec "$venv/bin/python" tests/bench/scan/compare.py "$target/$folder/examples/scan_points" "$@"
