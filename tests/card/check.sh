#!/bin/sh
# Tests and measures Candling on a machine with a CUDA card, for docs/cuda.md: check.sh PROGRAMS RESULTS [PART ...]
#
# PROGRAMS is the folder that pack.sh made. PART is tests, graphs, bench, peers or faces; the default is all but faces. Each
# part writes a log into RESULTS, and a failed part does not stop the others.
#
# Environment variables:
#   PEER_PYTHON  a Python with PyTorch, whose cuDNN is used; peers needs it
#   FACES        a folder of real and fake images; faces needs it
#   WEIGHTS      the ImageNet weights from which faces starts
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
programs=$(cd "$1" && pwd)
results=$(mkdir -p "$2" && cd "$2" && pwd)
shift 2
[ $# -gt 0 ] || set -- tests graphs bench peers

release=$root/target/release
mkdir -p "$release/examples"
for packed in "$programs"/*.xz; do
    name=$(basename "$packed" .xz)
    case $name in bench-step | norms) to=$release/examples/$name ;; *) to=$release/$name ;; esac
    xz --decompress --stdout "$packed" >"$to" && chmod +x "$to"
done

# PyTorch's cuDNN has no libcudnn.so. Without this link, parts of a cuDNN of the system would be loaded.
if [ -n "${PEER_PYTHON:-}" ]; then
    cudnn=$("$PEER_PYTHON" -c 'import nvidia.cudnn; print(list(nvidia.cudnn.__path__)[0] + "/lib")')
    mkdir -p "$results/cudnn" && ln -sf "$cudnn/libcudnn.so.9" "$results/cudnn/libcudnn.so"
    export LD_LIBRARY_PATH="$results/cudnn:$cudnn${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

# run NAME SECONDS COMMAND...: runs a command with a time limit, and keeps its output in NAME.log.
run() {
    log=$results/$1.log
    limit=$2
    shift 2
    echo "== $log: $*"
    start=$(date +%s)
    timeout "$limit" "$@" >"$log" 2>&1
    echo "exit code $?, $(($(date +%s) - start)) s" >>"$log"
    tail -n 12 "$log"
}

cd "$root" || exit 1
nvidia-smi >"$results/card.log" 2>&1
for part in "$@"; do
    case $part in
    tests)
        run kernels 150 "$release/kernels-tests" card cudnn_descriptors
        run tests 150 "$release/model-tests" card
        ;;
    graphs) run graphs 150 env CANDLING_CUDA_GRAPHS=on "$release/model-tests" card ;;
    bench)
        for graphs in off on; do
            run "bench-$graphs" 150 env "CANDLING_CUDA_GRAPHS=$graphs" "$release/xtask" bench --device cuda \
                --only train,infer --rounds 3 --seconds 1 --json "$results/bench-$graphs.json"
        done
        # shellcheck disable=SC2086
        run norms 120 "$release/xtask" bench --device cuda --only norm,peak --rounds 3 --seconds 1 \
            ${PEER_PYTHON:+--peer-python "$PEER_PYTHON"} --json "$results/norms.json"
        ;;
    peers)
        if [ -z "${PEER_PYTHON:-}" ]; then
            echo "peers: PEER_PYTHON is not set"
            continue
        fi
        run peers 540 "$release/xtask" bench --device cuda --only peak,train,infer --rounds 1 --seconds 2 \
            --peer-python "$PEER_PYTHON" --json "$results/peers.json" --page "$results/page.md"
        ;;
    faces)
        if [ -z "${FACES:-}" ] || [ -z "${WEIGHTS:-}" ]; then
            echo "faces: FACES or WEIGHTS is not set"
            continue
        fi
        run faces 240 "$release/xtask" pipeline demo --data "$FACES" --weights "$WEIGHTS" --device cuda \
            --set train.epochs=4 --set ingest.size=224 --set 'train.allow_missing=["layer4."]' --run-dir "$results/faces"
        # The log must not contain a message that cuDNN refused a convolution.
        run predict 60 "$release/xtask" predict "$FACES" --run-dir "$results/faces" --device cuda --csv
        ;;
    *) echo "no such part: $part" ;;
    esac
done
