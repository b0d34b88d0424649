// Runs the grid of one kernel launch; see emulation.h.
#include "emulation.h"

#include <ucontext.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

Index threadIdx, blockIdx, gridDim;

namespace {

constexpr std::size_t STACK = 64 * 1024;

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool done;
};

std::map<std::string, Body>& kernels() {
    static std::map<std::string, Body> map;
    return map;
}

std::vector<Fiber> fibers;
ucontext_t scheduler;
Fiber* current;
Body body;
void** arguments;

void run_fiber() {
    body(arguments);
    current->done = true;
}

// From barrier to barrier, until every thread has returned. Every other round goes backwards, so that a result that
// depends on the order of the threads between two barriers comes out wrong.
void run_block(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
        Fiber& fiber = fibers[i];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = &scheduler;
        fiber.done = false;
        makecontext(&fiber.context, run_fiber, 0);
    }
    bool running = true;
    for (bool backwards = blockIdx.x % 2; running; backwards = !backwards) {
        running = false;
        for (unsigned step = 0; step < threads; ++step) {
            const unsigned i = backwards ? threads - 1 - step : step;
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
    const Index place = threadIdx;
    swapcontext(&self->context, &scheduler);
    current = self;
    threadIdx = place;
}

void register_kernel(const char* name, Body kernel) { kernels()[name] = kernel; }

// 0 done, 1 there is no such kernel.
extern "C" int emulate(const char* name, unsigned grid_x, unsigned grid_y, unsigned threads, void** given) {
    const auto found = kernels().find(name);
    if (found == kernels().end()) return 1;
    if (fibers.size() < threads) fibers = std::vector<Fiber>(threads);
    body = found->second;
    arguments = given;
    gridDim = {grid_x, grid_y, 1};
    for (unsigned y = 0; y < grid_y; ++y) {
        for (unsigned x = 0; x < grid_x; ++x) {
            blockIdx = {x, y, 0};
            run_block(threads);
        }
    }
    return 0;
}
