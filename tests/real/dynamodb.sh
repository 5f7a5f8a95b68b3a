#!/usr/bin/env bash
# Starts AWS's own DynamoDB Local on this machine, for tests.
#
#   tests/real/dynamodb.sh [PORT]        (8000)
#   tests/real/dynamodb.sh --install     only fetches it; prints the folder of its jars
#
# Prints "READY pid=PID URL" once it answers; end it with `kill PID`. Needs Java 17 or later and Maven; from Maven
# Central, kept in $MILLRACE_SERVERS (~/.cache/millrace/servers). Tables are in memory.
#
# It listens on all interfaces whatever it is told: not for a machine that others can reach.
set -euo pipefail

readonly version=3.1.0
readonly home=${MILLRACE_SERVERS:-$HOME/.cache/millrace/servers}/dynamodb-$version
readonly port=${1:-8000}

die() { echo "dynamodb.sh: $*" >&2; exit 1; }
for tool in java mvn curl; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done

install() {
  echo "dynamodb.sh: fetching DynamoDB Local $version into $home" >&2
  cat > pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>dynamodb-for-tests</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>software.amazon.dynamodb</groupId><artifactId>DynamoDBLocal</artifactId><version>$version</version>
  </dependency></dependencies>
</project>
POM
  mvn -q -B -Dstyle.color=never -f pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$home/lib" >&2
  touch installed
}

mkdir -p "$home"
cd "$home"
# Two that start at once do not fetch at once.
exec 9> lock
flock 9
[ -e installed ] || install
exec 9>&-
if [ "$port" = --install ]; then
  echo "$home/lib"
  exit 0
fi

readonly url=http://127.0.0.1:$port
if curl -s -o /dev/null "$url"; then die "something listens on port $port already"; fi
setsid java -Xmx512m "-Dsqlite4java.library.path=$home/lib" -cp "lib/*" \
  software.amazon.dynamodb.services.local.main.ServerRunner -inMemory -sharedDb -disableTelemetry -port "$port" \
  > "log-$port.txt" 2>&1 < /dev/null &
readonly pid=$!
for _ in $(seq 240); do
  # Any answer will do: it refuses what is not signed.
  if curl -s -o /dev/null "$url"; then
    echo "READY pid=$pid $url"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || { tail -n 20 "log-$port.txt" >&2; die "the server ended; its log is in $home/log-$port.txt"; }
  sleep 0.25
done
kill "$pid"
die "the server did not answer within a minute; its log is in $home/log-$port.txt"
