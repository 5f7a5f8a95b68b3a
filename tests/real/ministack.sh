#!/usr/bin/env bash
# Starts ministack, an AWS emulator that nobody here wrote, for tests of what is deployed.
#
#   tests/real/ministack.sh [PORT]        (4577)
#
# Prints "READY pid=PID URL" once it answers; end it with `kill PID`. Needs Python 3.10 or later; from PyPI, kept in
# $MILLRACE_SERVERS (~/.cache/millrace/servers). Nothing is kept between two starts.
#
# It listens on all interfaces whatever it is told: not for a machine that others can reach.
set -euo pipefail

readonly port=${1:-4577}
readonly home=${MILLRACE_SERVERS:-$HOME/.cache/millrace/servers}/ministack-1.5.33

die() { echo "ministack.sh: $*" >&2; exit 1; }
for tool in python3 curl; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done

if [ ! -f "$home/complete" ]; then
  mkdir -p "$home"
  python3 -m venv "$home/venv"
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$home/venv/bin/pip" install --quiet \
    ministack==1.5.33 aws-sam-translator==1.115.0 boto3==1.43.106 pyyaml==6.0.3
  touch "$home/complete"
fi

work=$(mktemp -d)
export GATEWAY_PORT=$port EDGE_PORT=$port MINISTACK_HOST=127.0.0.1 MINISTACK_REGION=us-east-1 TMPDIR=$work
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
setsid "$home/venv/bin/python" -m ministack > "$work/ministack.log" 2>&1 < /dev/null &
pid=$!
for _ in $(seq 240); do
  if curl -sf -o /dev/null "http://127.0.0.1:$port/_ministack/health"; then
    echo "READY pid=$pid http://127.0.0.1:$port"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || { tail -n 20 "$work/ministack.log" >&2; die "it ended"; }
  sleep 0.25
done
kill "$pid"
die "it did not answer within a minute"
