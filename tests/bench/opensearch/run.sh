#!/usr/bin/env bash
# `index-chunks` against opensearch-py's `parallel_bulk`: the same chunks into indexes with the same mapping on one node, in one run; and how well
# they are found by the user's own nearest, against the exact scan.
#
#   tests/bench/opensearch/run.sh [CHUNKS]        (50000)
#
# Starts a node (tests/real/opensearch.sh) unless MILLRACE_OPENSEARCH_URL says where one is. Needs cargo, Java 17 or later, Maven, Python 3 with venv and
# pip, and PyPI. The node and both clients share the machine; so the node's processor time is shown next to theirs.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/opensearch-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet opensearch-py numpy
    touch "$venv/ready"
fi
cargo build --quiet --locked --release -p millrace-tests --bin opensearch-bench

node=
folder=$(mktemp -d)
trap 'rm -rf "$folder"; if [ -n "$node" ]; then kill "$node" 2>/dev/null || true; fi' EXIT
if [ -z "${MILLRACE_OPENSEARCH_URL:-}" ]; then
    MILLRACE_OPENSEARCH_HEAP=${MILLRACE_OPENSEARCH_HEAP:-2g} tests/real/opensearch.sh 9271 >"$folder/node.log" 2>&1 &
    for _ in $(seq 600); do
        grep -q '^READY' "$folder/node.log" && break
        sleep 1
    done
    ready=$(grep '^READY' "$folder/node.log") || { tail -n 20 "$folder/node.log" >&2; exit 1; }
    node=$(sed -nE 's/.*pid=([0-9]+).*/\1/p' <<<"$ready")
    MILLRACE_OPENSEARCH_URL=$(sed -nE 's/.*(https?:[^ ]+).*/\1/p' <<<"$ready")
    export MILLRACE_OPENSEARCH_URL
fi
"$venv/bin/python" tests/bench/opensearch/compare.py "$target/release/opensearch-bench" "$folder" "$@"
