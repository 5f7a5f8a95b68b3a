"""Has the worker and opensearch-py index the same chunks and prints one table. See run.sh."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy
from opensearchpy import OpenSearch
from opensearchpy.helpers import parallel_bulk

bench, folder = sys.argv[1], sys.argv[2]
url = os.environ["MILLRACE_OPENSEARCH_URL"]
client = OpenSearch(url, timeout=300)


PROCESSORS = os.cpu_count()


def machine():
    """Processor time that nobody took since the machine began, waiting for a disk included, and all of it; in seconds."""
    with open("/proc/stat") as stat:
        ticks = [int(number) for number in stat.readline().split()[1:9]]
    hertz = os.sysconf("SC_CLK_TCK")
    return (ticks[3] + ticks[4]) / hertz, sum(ticks) / hertz


class Watch:
    """What the node and the machine do meanwhile."""

    def __init__(self):
        self.longest = 0
        self.rejected = 0
        self.ended = threading.Event()
        self.node = self.node_seconds()
        self.machine = machine()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        own = OpenSearch(url, timeout=300)
        while not self.ended.wait(0.5):
            for node in own.nodes.stats(metric="thread_pool")["nodes"].values():
                pool = node["thread_pool"]["write"]
                self.longest = max(self.longest, pool["queue"])
                self.rejected = max(self.rejected, pool["rejected"])

    @staticmethod
    def node_seconds():
        """Processor time of the node, so far."""
        nodes = client.nodes.stats(metric="process")["nodes"].values()
        return sum(node["process"]["cpu"]["total_in_millis"] for node in nodes) / 1000

    def end(self):
        node = self.node_seconds() - self.node
        idle, all_of_it = (now - before for now, before in zip(machine(), self.machine))
        self.ended.set()
        self.thread.join()
        return {"node": node, "busy": 1 - idle / all_of_it, "queue": self.longest, "rejected": self.rejected}


def settled(index):
    """Waits until the node does nothing for an index any more: merging goes on behind a client's back."""
    while client.indices.stats(index=index)["indices"][index]["total"]["merges"]["current"]:
        time.sleep(0.2)


def by_the_worker():
    """Answers the row of the table, what searching said, and the index."""
    worker = subprocess.Popen([bench, folder, *sys.argv[3:]], stdout=subprocess.PIPE, text=True)
    index = json.loads(worker.stdout.readline())["begin"]
    watch = Watch()
    told = json.loads(worker.stdout.readline())
    row = {
        "name": "`index-chunks`",
        "chunks": told["chunks"],
        "seconds": told["seconds"],
        "own": told["cpuSeconds"],
        "again": told["again"],
        **watch.end(),
    }
    found = json.loads(worker.stdout.readline())
    if worker.wait():
        sys.exit("the worker's half failed")
    return row, found, index


def actions():
    """What parallel_bulk is given, made as it is asked for; making it is not measured on its own."""
    vectors = numpy.memmap(os.path.join(folder, "vectors.f32"), dtype="<f4", mode="r").reshape(-1, 1536)
    with open(os.path.join(folder, "documents.jsonl")) as documents:
        for document, vector in zip(documents, vectors):
            source = json.loads(document)
            source["embedding"] = vector.tolist()
            yield {"_id": source["chunkId"], "_source": source}


def by_parallel_bulk(like):
    """The same chunks, four threads, five hundred a request: its defaults. They can be found when it ends."""
    index = like + "-python"
    mapping = client.indices.get_mapping(index=like)[like]["mappings"]
    settings = {"index": {"knn": True, "knn.algo_param.ef_search": 100}}
    client.indices.create(index=index, body={"mappings": mapping, "settings": settings})
    watch, began, own = Watch(), time.perf_counter(), time.process_time()
    count = 0
    for ok, item in parallel_bulk(client, actions(), index=index):
        if not ok:
            sys.exit(f"parallel_bulk: {item}")
        count += 1
    client.indices.refresh(index=index)
    row = {
        "name": "opensearch-py `parallel_bulk`",
        "chunks": count,
        "seconds": time.perf_counter() - began,
        "own": time.process_time() - own,
        **watch.end(),
    }
    return row, index


def warm_up():
    """The node's code is compiled as it runs; so it runs a little before anybody is measured."""
    field = {"type": "knn_vector", "dimension": 1536, "method": {"name": "hnsw", "space_type": "cosinesimil", "engine": "lucene"}}
    settings = {"index": {"knn": True}}
    client.indices.create(index="warm-up", body={"settings": settings, "mappings": {"properties": {"embedding": field}}})
    vectors = numpy.random.default_rng(1).standard_normal((2_000, 1536)).astype("<f4")
    for _ in parallel_bulk(client, ({"_source": {"embedding": vector.tolist()}} for vector in vectors), index="warm-up"):
        pass
    client.indices.delete(index="warm-up")


warm_up()
worker, found, index = by_the_worker()
settled(index)
python, other = by_parallel_bulk(index)
segments = [len(client.cat.segments(index=name, format="json")) for name in (index, other)]
for name in (index, other):
    client.indices.delete(index=name)

print(f"| | chunks | seconds | chunks a second | client, processor s | node, processor s | of {PROCESSORS} processors busy | longest write queue |")
print("| --- | --- | --- | --- | --- | --- | --- | --- |")
for row in (worker, python):
    rate = row["chunks"] / row["seconds"]
    print(
        f"| {row['name']} | {row['chunks']} | {row['seconds']:.1f} | {rate:.0f} | {row['own']:.1f} | {row['node']:.1f} | {row['busy']:.0%} | {row['queue']} |"
    )
ratio = python["seconds"] / worker["seconds"] * worker["chunks"] / python["chunks"]
if worker["again"]:
    print(f"\n{worker['again']} events failed and came again: the node did not answer within half a minute.", end="")
print(f"\n{ratio:.2f} times as fast as parallel_bulk, with {worker['own'] / python['own']:.2f} of its processor time;", end=" ")
print(f"the node takes {worker['node'] / worker['chunks'] * 1e3:.2f} ms a chunk, and {python['node'] / python['chunks'] * 1e3:.2f} ms with parallel_bulk:", end=" ")
print(f"{worker['node'] / worker['seconds']:.2f} and {python['node'] / python['seconds']:.2f} processors. Segments at the end: {segments[0]}, {segments[1]}.")
print(
    "recall@10 against the exact scan, in the user's own chunks: {recall:.4f} of {queries} queries; {medianMilliseconds:.1f} ms median, {p99Milliseconds:.1f} ms p99".format(**found)
)
sys.exit(0 if found["recall"] >= 0.95 else 1)
