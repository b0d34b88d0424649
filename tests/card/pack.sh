#!/bin/sh
# Builds what a machine with a card, but without Rust, needs to run check.sh, and packs it: pack.sh FOLDER
#
# FOLDER can then be copied there beside the working tree. Needs what `cargo xtask --cuda on` needs, and xz.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
CUDA_HOME=${CUDA_HOME:-$PWD/target/cuda-toolkit/nvidia/cu13}
export CUDA_HOME
# The toolkit is assembled by this where it is not there yet.
cargo xtask cuda-check
features="--features train/cuda,evaluate/cuda,benches/cuda"
# shellcheck disable=SC2086
cargo build --release --workspace --bins --examples $features
tests() {
    cargo test --release -p "$1" --lib --features emulation --no-run --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
for program in xtask candling-ingest candling-train candling-evaluate candling-predict candling-report \
    examples/bench-step examples/norms; do
    strip -o "$out/$(basename "$program")" "target/release/$program"
done
for crate in kernels model; do
    strip -o "$out/$crate-tests" "$(tests "$crate")"
done
xz --force --threads=0 "$out"/*
du -sh "$out"
