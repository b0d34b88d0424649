#!/bin/sh
# Builds and packs the programs that check.sh needs on a machine with a CUDA card and without Rust: pack.sh FOLDER
#
# Copy FOLDER and the working tree to that machine. Needs the tools of `cargo xtask --cuda on`, and xz.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
CUDA_HOME=${CUDA_HOME:-$PWD/target/cuda-toolkit/nvidia/cu13}
export CUDA_HOME
# Assembles the CUDA toolkit if there is none.
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
