"""Functions that the peers share: arguments, timing, peak memory, and the JSON line that `cargo xtask bench` reads."""
import argparse
import json
import statistics
import time

# Number of calls that warm up caches, allocators and just-in-time compilers, and the minimum of measured calls.
WARM_UP, MIN_CALLS = 2, 3


def step_parser():
    """Returns a parser of the arguments that the peers of training steps and inferences share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--bf16", action="store_true")
    return parser


def median_seconds(block, seconds):
    """Returns the median time of a call of `block`, which is called for about `seconds` after the warm-up."""
    for _ in range(WARM_UP):
        block()
    times, end = [], time.perf_counter() + seconds
    while len(times) < MIN_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        block()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_bytes():
    """Returns the peak resident memory of this process in bytes, or None where it is unknown (only Linux reports it)."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


def print_measurement(program, value, unit, memory, **more):
    """Prints a measurement as one line of JSON."""
    print(json.dumps(dict(program=program, value=value, unit=unit, peak_bytes=memory, **more)), flush=True)
