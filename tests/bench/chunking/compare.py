"""Chunking speed: millrace-text and LangChain's splitter on the same texts, in megabytes of UTF-8 per second of processor time."""

import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

from langchain_text_splitters import RecursiveCharacterTextSplitter

SOURCES = pathlib.Path("events-fixtures/documents/sources")
BYTES = 2_000_000
ROUNDS = 3
SECONDS = 1.0
CHINESE = ["\n\n", "\n", "。", "！", "？", "；", "，", "、", " ", ""]


def sentences(prefix, end):
    """The sentences of the sample documents of one language, without markup."""
    found = []
    for path in sorted(SOURCES.glob(f"{prefix}-*")):
        if path.suffix not in (".txt", ".md"):
            continue
        for line in path.read_text().splitlines():
            line = re.sub(r"[*_`|#>\[\]]+", "", line).strip(" -")
            found += [sentence.strip() for sentence in re.findall(end, line)]
    return [sentence for sentence in found if len(sentence) > 8]


def made(found, joiner, paragraphs):
    chance = random.Random(8)
    text = []
    size = 0
    while size < BYTES:
        paragraph = joiner.join(chance.choices(found, k=chance.randint(2, 7)))
        text.append(paragraph)
        size += len(paragraph.encode())
    return ("\n\n" if paragraphs else joiner).join(text)


def texts(paths):
    english = sentences("alderwick", r"[^.!?]+[.!?]+")
    chinese = sentences("yuxi", r"[^。！？]+[。！？]")
    yield "English, paragraphs", made(english, " ", True)
    yield "English, one paragraph", made(english, " ", False)
    yield "Chinese, paragraphs", made(chinese, "", True)
    yield "Chinese, one paragraph", made(chinese, "", False)
    for path in paths:
        yield pathlib.Path(path).name, pathlib.Path(path).read_text()


def is_chinese(text):
    return len(re.findall(r"[\u4e00-\u9fff]", text)) * 3 > len(text)


def fastest(step):
    """Seconds of processor time of the fastest round, after one to warm up."""
    step()
    best = float("inf")
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or best == float("inf"):
        begun = time.process_time()
        step()
        best = min(best, time.process_time() - begun)
    return best


def main():
    ours, *paths = sys.argv[1:]
    print(f"{'text':28}{'chunk':>10}{'splitter':>10}{'ratio':>8}{'its default':>13}   MB/s; chunks of each")
    for name, text in texts(paths):
        same = dict(chunk_size=400, chunk_overlap=60, separators=CHINESE) if is_chinese(text) else dict(chunk_size=1600, chunk_overlap=240)
        splitter = RecursiveCharacterTextSplitter(**same)
        default = RecursiveCharacterTextSplitter()
        size = len(text.encode()) / 1e6
        times = {"ours": [], "same": [], "default": []}
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write(text.encode())
            file.flush()
            for _ in range(ROUNDS):
                answer = json.loads(subprocess.run([ours, file.name], check=True, capture_output=True).stdout)
                times["ours"].append(answer["seconds"])
                times["same"].append(fastest(lambda: splitter.split_text(text)))
                times["default"].append(fastest(lambda: default.split_text(text)))
        speed = {which: size / min(seconds) for which, seconds in times.items()}
        counts = f"{answer['chunks']}, {len(splitter.split_text(text))}"
        print(
            f"{name:28}{speed['ours']:10.0f}{speed['same']:10.0f}{speed['ours'] / speed['same']:8.1f}{speed['default']:13.0f}   {counts}", flush=True
        )


main()
