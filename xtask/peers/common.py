"""What the peers share: timing, memory, and the one line of JSON that `cargo xtask bench` reads."""
import json
import statistics
import time

# Blocks that warm caches, allocators and just-in-time compilers up, and the fewest that are measured.
WARM_UP, FEWEST = 2, 3


def median_seconds(block, seconds):
    """Median time of `block()`, called for about `seconds` after it has warmed up."""
    for _ in range(WARM_UP):
        block()
    times, end = [], time.perf_counter() + seconds
    while len(times) < FEWEST or time.perf_counter() < end:
        start = time.perf_counter()
        block()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_bytes():
    """The most memory that this process has had resident (Linux), or None."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return None


def say(program, value, unit, memory, **more):
    print(json.dumps(dict(program=program, value=value, unit=unit, peak_bytes=memory, **more)), flush=True)
