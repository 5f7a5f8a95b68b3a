#!/usr/bin/env bash
# Builds what is deployed, one binary a product, and packs each as Lambda takes it.
#
#   infra/package.sh           for arm64, as the template says: target/lambda/PRODUCT/bootstrap, and bootstrap.zip beside it
#   infra/package.sh host      for this machine: target/host/PRODUCT/…, which emulators and tests/bench/lambda run
#
# Needs Rust and Python 3; cargo-lambda and the linker come from PyPI and are kept in $MILLRACE_SERVERS
# (~/.cache/millrace/servers). Ends with 1 when a zip is larger than 15 MB.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly products=(documents jobs marketing)
readonly most=15000000
readonly tools=${MILLRACE_SERVERS:-$HOME/.cache/millrace/servers}/cargo-lambda-1.9.2
readonly target=${CARGO_TARGET_DIR:-target}

packages=()
for product in "${products[@]}"; do
  packages+=(-p "millrace-$product")
done

case ${1:-arm64} in
  arm64)
    if [ ! -f "$tools/complete" ]; then
      python3 -m venv "$tools"
      PIP_DISABLE_PIP_VERSION_CHECK=1 "$tools/bin/pip" install --quiet --only-binary :all: cargo-lambda==1.9.2 ziglang==0.17.1
      touch "$tools/complete"
    fi
    rustup target add aarch64-unknown-linux-gnu
    out=$target/lambda
    PATH="$tools/bin:$PATH" cargo lambda build --profile deployed --arm64 --locked "${packages[@]}"
    ;;
  host)
    out=$target/host
    cargo build --profile deployed --locked "${packages[@]}"
    for product in "${products[@]}"; do
      mkdir -p "$out/$product"
      cp "$target/deployed/$product" "$out/$product/bootstrap"
    done
    ;;
  *)
    echo "package.sh: arm64 or host, not $1" >&2
    exit 2
    ;;
esac

python3 - "$out" "$most" "${products[@]}" <<'PACK'
import pathlib
import sys
import zipfile

out, most, products = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
too_large = False
for product in products:
    binary = out / product / "bootstrap"
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    packed = out / product / "bootstrap.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(entry, binary.read_bytes(), zipfile.ZIP_DEFLATED)
    size = packed.stat().st_size
    print(f"{packed}: {size / 1e6:.1f} MB, {binary.stat().st_size / 1e6:.1f} MB unpacked")
    too_large |= size > most
sys.exit(1 if too_large else 0)
PACK
