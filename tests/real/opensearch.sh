#!/usr/bin/env bash
# Starts a real OpenSearch with the k-NN plugin on loopback, for tests.
#
#   tests/real/opensearch.sh [PORT]        (9200)
#
# Prints "READY pid=PID URL" once it answers; end it with `kill PID`. It begins empty; with MILLRACE_OPENSEARCH_KEEP=1 it goes on
# with what a former one on that port left. Needs Java 17 or later, Maven, Python 3 and, the first time, a few minutes:
# everything is from Maven Central and kept in $MILLRACE_SERVERS (~/.cache/millrace/servers). The plugin comes without native
# libraries, so its engine is `lucene`.
set -euo pipefail

readonly port=${1:-9200}
readonly version=2.19.1
readonly home=${MILLRACE_SERVERS:-$HOME/.cache/millrace/servers}/opensearch-$version
readonly heap=${MILLRACE_OPENSEARCH_HEAP:-1g}

die() { echo "opensearch.sh: $*" >&2; exit 1; }
for tool in java javac mvn python3 curl; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done

# A server without its launcher: the node as a library, with the plugins on the class path.
write_project() {
  local plugin dependencies=""
  add() { dependencies+="<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
  add org.opensearch opensearch "$version"
  for plugin in transport-netty4-client lang-painless analysis-common reindex-client mapper-extras-client; do
    add org.opensearch.plugin "$plugin" "$version"
  done
  add org.apache.logging.log4j log4j-core 2.21.0
  cat > pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>opensearch-for-tests</artifactId><version>1</version>
  <dependencies>$dependencies</dependencies>
</project>
POM
}

write_launcher() {
  cat > TestNode.java <<'JAVA'
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** One node: HOME HTTP-PORT TRANSPORT-PORT PLUGIN-CLASS... */
public final class TestNode extends Node {
    private TestNode(Environment environment, List<Class<? extends Plugin>> plugins) {
        super(environment, plugins, false);
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        Path config = Files.createDirectories(home.resolve("config"));
        Settings settings = Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "millrace-tests")
            .put("node.name", "one")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", arguments[2])
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        LogConfigurator.configureWithoutConfig(settings);
        List<Class<? extends Plugin>> plugins = new ArrayList<>();
        for (int i = 3; i < arguments.length; i++) {
            plugins.add(Class.forName(arguments[i]).asSubclass(Plugin.class));
        }
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "one");
        TestNode node = new TestNode(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception ignored) {
                // The process ends anyway.
            }
        }));
        node.start();
        new CountDownLatch(1).await();
    }
}
JAVA
}

install() {
  echo "opensearch.sh: fetching OpenSearch $version into $home" >&2
  local dependency=org.apache.maven.plugins:maven-dependency-plugin:3.6.1
  write_project
  mvn -q -B -Dstyle.color=never -f pom.xml "$dependency:copy-dependencies" -DincludeScope=runtime -DoutputDirectory="$home/lib" >&2
  mvn -q -B -Dstyle.color=never "$dependency:copy" -Dartifact="org.opensearch.plugin:opensearch-knn:$version.0:zip" -DoutputDirectory="$home" >&2
  python3 -m zipfile -e "opensearch-knn-$version.0.zip" knn
  write_launcher
  javac -nowarn -cp "lib/*" -d classes TestNode.java >&2
  touch installed
}

mkdir -p "$home"
cd "$home"
[ -e installed ] || install

readonly url=http://127.0.0.1:$port
if curl -sf -o /dev/null "$url"; then die "something listens on port $port already"; fi
[ "${MILLRACE_OPENSEARCH_KEEP:-}" = 1 ] || rm -rf "data-$port"
setsid java "-Xms$heap" "-Xmx$heap" -cp "classes:lib/*:knn/*" TestNode "$home/data-$port" "$port" "$((port + 100))" \
  org.opensearch.transport.Netty4Plugin org.opensearch.painless.PainlessPlugin \
  org.opensearch.analysis.common.CommonAnalysisPlugin org.opensearch.index.reindex.ReindexPlugin \
  org.opensearch.index.mapper.MapperExtrasPlugin org.opensearch.knn.plugin.KNNPlugin \
  > "log-$port.txt" 2>&1 < /dev/null &
readonly pid=$!

for _ in $(seq 240); do
  if curl -sf -o /dev/null "$url/_cluster/health?wait_for_status=yellow&timeout=1s"; then
    printf "\n"; echo "READY pid=$pid $url"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || { tail -20 "log-$port.txt" >&2; die "the server ended; its log is in $home/log-$port.txt"; }
  sleep 0.25
done
kill "$pid"
die "the server did not answer within a minute; its log is in $home/log-$port.txt"
