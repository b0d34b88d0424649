// Definitions that all kernels share: the two element types, 16-byte loads and stores along the channels, and the
// mapping of threads to elements.
//
// Tensors are [rows, channels] with rows = images x height x width. The number of channels is a multiple of 8. A thread
// computes one pack of neighbouring channels for several rows, so that per-channel coefficients stay in registers and a
// warp reads whole cache lines. Sums are added in a fixed order without atomics, so that results are deterministic.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#include <cuda_bf16.h>
using bf16 = __nv_bfloat16;
#else
#include "emulation.h" // compiles the same source as C++ for the processor, for tests
#endif

constexpr int THREADS = 256;
// Resident blocks per multiprocessor, for __launch_bounds__. Without this bound, the compiler saves registers by
// placing each load right before its use, so that a thread waits for one load after the other.
constexpr int BLOCKS_PER_MULTIPROCESSOR = 3;

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(bf16 value) { return __bfloat162float(value); }
__device__ inline void narrow(float value, float& to) { to = value; }
__device__ inline void narrow(float value, bf16& to) { to = __float2bfloat16_rn(value); }

// Rounds a value to T.
template <typename T>
__device__ inline float rounded(float value) {
    T stored;
    narrow(value, stored);
    return widen(stored);
}

// 16 bytes of neighbouring channels: 4 floats or 8 bf16.
template <typename T>
struct alignas(16) Pack {
    static constexpr int SIZE = 16 / sizeof(T);
    T values[SIZE];
};

template <typename T>
__device__ inline Pack<T> fetch(const T* from) {
    return *reinterpret_cast<const Pack<T>*>(from);
}

template <typename T>
__device__ inline void widen(const Pack<T>& pack, float (&to)[Pack<T>::SIZE]) {
#pragma unroll
    for (int i = 0; i < Pack<T>::SIZE; ++i) to[i] = widen(pack.values[i]);
}

template <typename T>
__device__ inline void load(const T* from, float (&to)[Pack<T>::SIZE]) {
    widen(fetch(from), to);
}

template <typename T>
__device__ inline void store(const float (&from)[Pack<T>::SIZE], T* to) {
    Pack<T> pack;
#pragma unroll
    for (int i = 0; i < Pack<T>::SIZE; ++i) narrow(from[i], pack.values[i]);
    *reinterpret_cast<Pack<T>*>(to) = pack;
}

// Loads per-channel floats for the channels of one pack. They are aligned to 16 bytes, because channels are a multiple
// of 8.
template <int SIZE>
__device__ inline void load_coefficients(const float* from, float (&to)[SIZE]) {
    constexpr int STEP = Pack<float>::SIZE;
#pragma unroll
    for (int i = 0; i < SIZE; i += STEP) load(from + i, *reinterpret_cast<float(*)[STEP]>(to + i));
}

// The elements that a thread computes. A block of THREADS covers `width` packs of each of `lanes` rows at a time.
// Blocks along x divide the rows, blocks along y the channels.
template <typename T>
struct ThreadPosition {
    int width;   // packs of a row that the block covers
    int lanes;   // rows that the block covers at a time
    int column;  // the thread's pack within the block
    int lane;    // the thread's row within the block
    int channel; // the first channel of the thread's pack
    bool active; // false for threads beyond the last row or channel of the block

    __device__ explicit ThreadPosition(int channels) {
        const int packs = channels / Pack<T>::SIZE;
        width = packs < THREADS ? packs : THREADS;
        lanes = THREADS / width;
        column = threadIdx.x % width;
        lane = threadIdx.x / width;
        channel = (blockIdx.y * width + column) * Pack<T>::SIZE;
        active = lane < lanes && channel < channels;
    }
};

// Calls fetch(k, at) and then use(k, at) for the elements `at`, `at + step`, ... before `end`. fetch loads the operands
// of a row into register slot k, and use computes with them. PREFETCH rows are fetched before the first is used, so
// that their loads are in flight together. The compiler cannot move the loads itself, because it must assume that a
// store in `use` changes the operands of the next row.
template <int PREFETCH, typename Fetch, typename Use>
__device__ inline void for_each_row(int64_t at, int64_t end, int64_t step, Fetch fetch, Use use) {
    for (; at + (PREFETCH - 1) * step < end; at += PREFETCH * step) {
#pragma unroll
        for (int k = 0; k < PREFETCH; ++k) fetch(k, at + k * step);
#pragma unroll
        for (int k = 0; k < PREFETCH; ++k) use(k, at + k * step);
    }
    for (; at < end; at += step) {
        fetch(0, at);
        use(0, at);
    }
}

// Returns the sum of `value` over all threads of a block, added in a fixed order. `shared` has room for THREADS values.
template <typename T>
__device__ inline T block_sum(T value, T* shared) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    const T total = shared[0];
    __syncthreads();
    return total;
}

// Registers a kernel with the emulation. nvcc needs no registration, because the driver finds kernels by name.
#ifdef __CUDACC__
#define EXPORT(name)
#endif

// Defines the kernels `name_f32` and `name_bf16` from the function template `name`.
#define KERNEL(name, parameters, arguments) DEFINE_KERNELS(BLOCKS_PER_MULTIPROCESSOR, name, parameters, arguments)
// Like KERNEL, for a kernel that needs more registers per thread, so that fewer blocks fit on a multiprocessor.
#define LARGE_KERNEL(name, parameters, arguments)                                                                      \
    DEFINE_KERNELS(BLOCKS_PER_MULTIPROCESSOR - 1, name, parameters, arguments)
#define DEFINE_KERNELS(blocks, name, parameters, arguments)                                                            \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) name##_f32 parameters(float) {                       \
        name<float> arguments;                                                                                         \
    }                                                                                                                  \
    EXPORT(name##_f32)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) name##_bf16 parameters(bf16) {                       \
        name<bf16> arguments;                                                                                          \
    }                                                                                                                  \
    EXPORT(name##_bf16)
