#!/usr/bin/env bash
# Starts localstack's open core on loopback, without Docker, for tests of event source mappings.
#
#   tests/real/localstack.sh [PORT]        (4566)
#   tests/real/localstack.sh --python      only says which Python it would take
#
# Prints "READY pid=PID URL" once it answers; end it with `kill PID`. Needs Python 3.13 or later, whatever its metadata says ($MILLRACE_PYTHON,
# or what is found), Java 17 or later and Maven: localstack is from PyPI (700 MB, some minutes the first time), the
# DynamoDB below it from Maven Central. Both are kept in $MILLRACE_SERVERS (~/.cache/millrace/servers). Functions
# run as processes: `localstack/` beside this script is the plugin that does it.
set -euo pipefail

readonly port=${1:-4566}
readonly version=2026.3.0
readonly home=${MILLRACE_SERVERS:-$HOME/.cache/millrace/servers}/localstack-$version
here=$(cd "$(dirname "$0")" && pwd)
readonly here

die() { echo "localstack.sh: $*" >&2; exit 1; }
for tool in java mvn curl; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done

# The first interpreter that runs and is new enough; version managers leave stubs on the path that do not run.
find_python() {
  local candidate
  for candidate in "${MILLRACE_PYTHON:-}" python3 python3.13 python3.14 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[3-9]*/bin/python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "there is no Python 3.13 or later; MILLRACE_PYTHON can name one"
}

if [ "$port" = --python ]; then
  find_python
  exit
fi

install() {
  local python
  python=$(find_python)
  echo "localstack.sh: fetching localstack-core $version into $home" >&2
  "$python" -m venv "$home/venv"
  # Its own bounds let newer ones in that it does not run with.
  "$home/venv/bin/pip" install --quiet "localstack-core[runtime]==$version" \
    'cbor2<5.9' pyopenssl==25.3.0 'cryptography<47' service_identity >&2
  touch installed
}

export PIP_DISABLE_PIP_VERSION_CHECK=1
mkdir -p "$home"
cd "$home"
exec 9> lock
flock 9
[ -e installed ] || install
plugin=plugin-$(cat "$here"/localstack/* | cksum | cut -d ' ' -f 1)
if [ ! -e "$plugin" ]; then
  # A copy, because building it leaves files behind.
  rm -rf plugin-* plugin
  cp -r "$here/localstack" plugin
  venv/bin/pip install --quiet --force-reinstall --no-deps ./plugin >&2
  touch "$plugin"
fi
exec 9>&-
jars=$("$here/dynamodb.sh" --install)

readonly url=http://127.0.0.1:$port
if curl -s -o /dev/null "$url"; then die "something listens on port $port already"; fi
rm -rf "data-$port"
mkdir "data-$port"
export GATEWAY_LISTEN=127.0.0.1:$port LOCALSTACK_HOST=127.0.0.1:$port FILESYSTEM_ROOT=$home/data-$port
export DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 USE_SSL=0 DNS_ADDRESS=0 EAGER_SERVICE_LOADING=0 PYTHONWARNINGS=ignore
export LAMBDA_RUNTIME_EXECUTOR=millrace DYNAMODB_IN_MEMORY=1 MILLRACE_DYNAMODB_JARS=$jars
export PROVIDER_OVERRIDE_DYNAMODB=v2 PROVIDER_OVERRIDE_DYNAMODBSTREAMS=v2
setsid venv/bin/python -m localstack.runtime.main > "log-$port.txt" 2>&1 < /dev/null &
readonly pid=$!
for _ in $(seq 240); do
  if curl -sf -o /dev/null "$url/_localstack/health"; then
    echo "READY pid=$pid $url"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || { tail -n 20 "log-$port.txt" >&2; die "it ended; its log is in $home/log-$port.txt"; }
  sleep 0.5
done
kill "$pid"
die "it did not answer within two minutes; its log is in $home/log-$port.txt"
