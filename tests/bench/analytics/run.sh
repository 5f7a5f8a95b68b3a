#!/usr/bin/env bash
# aggregate-analytics against a Python handler with Powertools' batch and idempotency utilities: the same stream batches, the same
# embedded tables, in one run.
#
#   tests/bench/analytics/run.sh [EVENTS [EVENTS-FOR-PYTHON]]        (60000 3000)
#
# Requests and units are counted by the endpoint, alike for both; processor time is that of the handler's process alone. Needs cargo,
# Python 3 with venv and pip, and PyPI. Other work on the machine shows in the seconds, less in the processor time.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/analytics-venv
if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet boto3 'aws-lambda-powertools[all]'
    touch "$venv/ready"
fi
profile=${PROFILE:-release}
[ "$profile" = dev ] && folder=debug || folder=$profile
cargo build --quiet --locked -p millrace-analytics-bench --profile "$profile"
exec "$venv/bin/python" tests/bench/analytics/compare.py "$target/$folder/analytics-bench" "$@"
