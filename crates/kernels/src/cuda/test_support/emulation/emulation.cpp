// Runs kernel launches on the processor; see emulation.h.
#include "emulation.h"

#include <ucontext.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

Dim3 threadIdx, blockIdx, gridDim;

namespace {

constexpr std::size_t STACK_BYTES = 64 * 1024;

// A thread of a block.
struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    bool done;
};

std::map<std::string, KernelFunction>& kernels() {
    static std::map<std::string, KernelFunction> map;
    return map;
}

std::vector<Fiber> fibers;
ucontext_t scheduler;
Fiber* current;
KernelFunction body;
void** arguments;

void run_fiber() {
    body(arguments);
    current->done = true;
}

// Runs all threads of a block from barrier to barrier until they have returned. The order of the threads is reversed
// after each barrier and from block to block, so that tests detect results that depend on it.
void run_block(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
        Fiber& fiber = fibers[i];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = &scheduler;
        fiber.done = false;
        makecontext(&fiber.context, run_fiber, 0);
    }
    bool running = true;
    for (bool backwards = blockIdx.x % 2; running; backwards = !backwards) {
        running = false;
        for (unsigned n = 0; n < threads; ++n) {
            const unsigned i = backwards ? threads - 1 - n : n;
            if (fibers[i].done) continue;
            threadIdx = {i, 0, 0};
            current = &fibers[i];
            swapcontext(&scheduler, &fibers[i].context);
            running = running || !fibers[i].done;
        }
    }
}

} // namespace

void __syncthreads() {
    Fiber* self = current;
    const Dim3 index = threadIdx;
    swapcontext(&self->context, &scheduler);
    current = self;
    threadIdx = index;
}

void register_kernel(const char* name, KernelFunction kernel) { kernels()[name] = kernel; }

// Runs a kernel. Returns 1 if there is none of this name, or else 0.
extern "C" int emulate(const char* name, unsigned grid_x, unsigned grid_y, unsigned threads, void** kernel_arguments) {
    const auto found = kernels().find(name);
    if (found == kernels().end()) return 1;
    if (fibers.size() < threads) fibers = std::vector<Fiber>(threads);
    body = found->second;
    arguments = kernel_arguments;
    gridDim = {grid_x, grid_y, 1};
    for (unsigned y = 0; y < grid_y; ++y) {
        for (unsigned x = 0; x < grid_x; ++x) {
            blockIdx = {x, y, 0};
            run_block(threads);
        }
    }
    return 0;
}
