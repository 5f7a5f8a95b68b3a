"""The pipeline in Python: a reader, LangChain's splitter, the same embedder in numpy, the same bytes appended to files.

pipeline.py READER DOCUMENTS FOLDER LIST; a line of JSON. `pipeline.py vectors` makes vectors of the texts on standard input instead.
"""

import json
import os
import re
import struct
import sys
import time
import uuid

from langchain_text_splitters import RecursiveCharacterTextSplitter

import hashed
from readers import READERS

HAN = re.compile("[\u1100-\u11ff\u3041-\u9fff\uac00-\ud7a3\uf900-\ufaff]")


def splitter(tokens_a_character):
    """400 tokens with 60 of overlap, as ours: a token is a quarter of a Latin character's text, or one of Han."""
    return RecursiveCharacterTextSplitter(
        chunk_size=int(400 / tokens_a_character),
        chunk_overlap=int(60 / tokens_a_character),
        separators=["\n\n", "\n", "。", ". ", " ", ""],
    )


LATIN, IDEOGRAPHIC = splitter(0.25), splitter(1)


class Index:
    """Appends a record a chunk as the embedded index does: length, hash, JSON, vector; one write a document, no flush to the disk."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def put(self, number, path, chunks, vectors):
        document = uuid.uuid5(uuid.NAMESPACE_URL, f"{number} {path}")
        records = []
        for place, (chunk, vector) in enumerate(zip(chunks, vectors)):
            entry = {
                "chunk_id": str(uuid.uuid5(document, str(place))),
                "user_id": f"user-{number // 100}",
                "document_id": str(document),
                "generation": "1",
                "chunk_index": place,
                "content": chunk,
                "file_name": os.path.basename(path),
                "file_type": "application/pdf",
                "page_number": None,
                "section": None,
                "word_count": chunk.count(" ") + 1,
                "tags": [],
                "created_at": "2026-01-01T00:00:00Z",
            }
            line = json.dumps(entry, ensure_ascii=False).encode()
            payload = b"\1" + struct.pack("<I", len(line)) + line + vector.tobytes()
            records.append(struct.pack("<IQ", len(payload), hash(payload) & 0xFFFFFFFFFFFFFFFF) + payload)
        with open(os.path.join(self.folder, f"user-{number // 100}.log"), "ab") as log:
            log.write(b"".join(records))


def main():
    name, documents, folder, listed = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    read = READERS[name]
    with open(listed) as lines:
        files = lines.read().splitlines()
    spent = dict.fromkeys(("extract", "chunk", "embed", "index"), 0.0)
    counts = dict.fromkeys(("documents", "refused", "pages", "chunks", "characters"), 0)
    index = Index(folder)

    def one(number, path):
        times = [time.process_time()]
        try:
            pages = read(path)
        except Exception:
            counts["refused"] += 1
            return
        text = "\n\n".join(pages)
        times.append(time.process_time())
        ideographic = len(HAN.findall(text)) * 2 > len(text)
        chunks = (IDEOGRAPHIC if ideographic else LATIN).split_text(text)
        times.append(time.process_time())
        vectors = [hashed.embed(chunk) for chunk in chunks]
        times.append(time.process_time())
        index.put(number, path, chunks, vectors)
        times.append(time.process_time())
        for stage, begun, ended in zip(spent, times, times[1:]):
            spent[stage] += ended - begun
        counts["documents"] += 1
        counts["pages"] += len(pages)
        counts["chunks"] += len(chunks)
        counts["characters"] += len(text)

    for path in files[:10]:
        one(0, path)
    spent = dict.fromkeys(spent, 0.0)
    counts = dict.fromkeys(counts, 0)
    begun, before = time.perf_counter(), os.times()
    for number in range(documents):
        one(number, files[number % len(files)])
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    print(json.dumps(counts | spent | {"seconds": time.perf_counter() - begun, "cpu": cpu}))


if sys.argv[1] == "vectors":
    for text in json.load(sys.stdin):
        sys.stdout.buffer.write(hashed.embed(text).tobytes())
else:
    main()
