"""What run.sh asks for: measure.py PROGRAM CORPUS DOCUMENT PART…; each part's table is printed and put into the document."""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile

import corpus_table
import speeds

PARTS = {
    "table": corpus_table.table,
    "hostile": corpus_table.hostile,
    "speed": speeds.speed,
    "pipeline": speeds.pipeline,
    "curve": speeds.curve,
    "memory": speeds.memory,
}


class Driver:
    """The program under measurement, and the corpus."""

    def __init__(self, program, corpus, folder):
        self.program = os.path.abspath(program)
        self.corpus = corpus
        self.folder = folder

    def run(self, *arguments):
        """What the program says, its lines decoded."""
        done = subprocess.run([self.program, *map(str, arguments)], stdout=subprocess.PIPE, check=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def read(self, path):
        """One file: what the program says of it, and the peak of memory of its child.

        A small process stands between: the kernel counts a process's peak from before it became another program.
        """
        between = (
            "import os, sys, json\n"
            "pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n"
            "_, status, usage = os.wait4(pid, 0)\n"
            "print(json.dumps({'status': status, 'peak': usage.ru_maxrss}))\n"
        )
        command = [sys.executable, "-I", "-S", "-c", between, self.program, "read", path]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        said, ended = map(json.loads, done.stdout.splitlines())
        # The larger of the program and its child.
        said["child_peak_kilobytes"] = ended["peak"]
        return said

    def list_of(self, paths):
        """A file with a path a line."""
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".list", delete=False) as listed:
            listed.write("".join(f"{path}\n" for path in paths))
        return listed.name


def put(document, part, text):
    """The part's place lies between two comments; without it the text is only printed."""
    begin, end = f"<!-- made by `tests/bench/extraction/run.sh {part}` -->", f"<!-- end of {part} -->"
    with open(document) as file:
        whole = file.read()
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(whole):
        with open(document, "w") as file:
            file.write(pattern.sub(lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", whole))


def main():
    program, corpus, document, *parts = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(program, corpus, folder)
        print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n", flush=True)
        for part in parts:
            text = PARTS[part](driver)
            print(f"## {part}\n\n{text}\n", flush=True)
            put(document, part, text)


main()
