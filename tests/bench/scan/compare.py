"""The exact scan against numpy, faiss and a plain streaming read: same vectors, one run, turn by turn.

Run by `run.sh`, which makes the environment: compare.py SCAN_POINTS [COUNT [ROUNDS]]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

DIMENSIONS = 1536
AT_LEAST = 0.6
QUERIES = 8
STREAMS = (1, 2, 4, 8, 16)
ALL = os.cpu_count() or 1


def make_vectors(count):
    """Unit vectors in 500 clusters of differing width: cosines spread over everything between 0 and 1."""
    random = np.random.default_rng(20261121)
    centres = random.standard_normal((500, DIMENSIONS), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = random.standard_normal((count, DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    share = random.uniform(0.2, 0.98, (count, 1)).astype(np.float32)
    vectors *= np.sqrt(1 - share * share)
    vectors += share * centres[random.integers(0, 500, count)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = centres[:QUERIES] + 0.3 * vectors[:QUERIES]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return vectors, np.ascontiguousarray(queries)


class Ours:
    """The index in a process of its own, by a request a line."""

    def __init__(self, program, vectors, queries):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("vectors", "queries")]
            vectors.tofile(paths[0])
            queries.tofile(paths[1])
            self.process = subprocess.Popen(
                [program, *paths, str(DIMENSIONS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self.process.stdout.readline() == "ready\n"

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        milliseconds, count, digest, *ids = self.process.stdout.readline().rstrip("\n").split(" ")
        return float(milliseconds), int(count), digest, ids[0].split(",") if ids and ids[0] else []

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def timed(work):
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def check_candidates(ours, vectors, queries):
    """Both layouts, any number of threads: the same candidates and scores; and numpy's in double precision."""
    total = 0
    for number, query in enumerate(queries):
        answers = {
            (layout, threads): ours.ask(f"{layout} {threads} {number} {AT_LEAST} all")
            for layout in ("full", "half")
            for threads in (1, ALL)
        }
        assert len({(count, digest) for _, count, digest, _ in answers.values()}) == 1, "answers differ"
        ids = {int(one) for one in answers["half", 1][3]}
        scores = vectors @ query
        near = np.flatnonzero(np.abs(scores - AT_LEAST) < 1e-3)
        exact = vectors[near].astype(np.float64) @ query.astype(np.float64)
        expected = set(np.flatnonzero(scores >= AT_LEAST + 1e-3)) | set(near[exact >= np.float32(AT_LEAST)])
        assert ids == expected, f"query {number}: {len(ids ^ expected)} differ"
        total += len(ids)
    return total


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 15
    vectors, queries = make_vectors(count)
    ours = Ours(program, vectors, queries)
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(vectors)
    found = check_candidates(ours, vectors, queries)

    def numpy_scan(threads):
        def run(number):
            with threadpool_limits(threads, user_api="blas"):
                return timed(lambda: vectors @ queries[number])

        return run

    def faiss_scan(threads):
        def run(number):
            faiss.omp_set_num_threads(threads)
            return timed(lambda: index.search(queries[number : number + 1], 50))

        return run

    def our_scan(layout, threads, share="all"):
        return lambda number: ours.ask(f"{layout} {threads} {number} {AT_LEAST} {share}")[0]

    def our_read(threads, streams):
        return lambda number: ours.ask(f"read {threads} {streams}")[0]

    contestants = {}
    for threads in dict.fromkeys((1, ALL)):
        for streams in STREAMS:
            contestants["read", threads, streams] = our_read(threads, streams)
        contestants["numpy f32", threads] = numpy_scan(threads)
        contestants["faiss IndexFlatIP f32", threads] = faiss_scan(threads)
        contestants["ours, f32", threads] = our_scan("full", threads)
        contestants["ours, f16 then f32", threads] = our_scan("half", threads)
        contestants["ours, f16, filters pass half", threads] = our_scan("half", threads, 50)
        contestants["ours, f16, filters pass 2 %", threads] = our_scan("half", threads, 2)
    times = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            took = run(turn % QUERIES)
            # The first turn warms up.
            if turn:
                times[name].append(took)
    ours.end()

    medians = {name: statistics.median(took) for name, took in times.items()}
    bytes_read = vectors.nbytes
    print(f"{count} vectors of {DIMENSIONS} numbers, {bytes_read / 1e6:.0f} MB in f32; {rounds} rounds, medians")
    print(f"same candidates and scores in both layouts and with any threads: {found} in {QUERIES} queries")
    print("our times are those of whole searches: filters, exact scores and order included\n")
    print(f"{'':34}{'ms':>8}{'best':>8}{'GB/s':>8}{'of the read':>13}{'x faiss':>9}{'x numpy':>9}")
    for threads in dict.fromkeys((1, ALL)):
        best_read = min(((medians["read", threads, streams], streams) for streams in STREAMS))
        print(f"{threads} thread{'s' if threads > 1 else ''}")
        rows = [name for name in contestants if name[1] == threads and name[0] != "read"]
        rows.insert(0, ("read", threads, best_read[1]))
        for name in rows:
            median = medians[name]
            label = f"plain read, {name[2]} streams" if name[0] == "read" else name[0]
            halves = 2 if "f16" in name[0] else 1
            speed = bytes_read / halves / median / 1e6
            shown = f"{speed:8.1f}" if "filters" not in name[0] else f"{'':8}"
            print(
                f"  {label:32}{median:8.1f}{min(times[name]):8.1f}{shown}{best_read[0] / median:13.2f}"
                f"{medians['faiss IndexFlatIP f32', threads] / median:9.2f}{medians['numpy f32', threads] / median:9.2f}"
            )


main()
