// What every kernel shares: the two element types, 16-byte access along the channels, and how a block covers a tensor.
//
// Tensors are [rows, channels] with rows = images x height x width (N,H,W,C), and channels a multiple of 8.
// A thread owns one pack of neighbouring channels and walks down the rows, so that per-channel coefficients stay in
// registers and a warp reads whole cache lines. Sums are taken in a fixed order: no atomics, the same bits every time.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#include <cuda_bf16.h>
using bf16 = __nv_bfloat16;
#else
#include "emulation.h" // tests/kernels: the same source as C++ on the processor
#endif

constexpr int THREADS = 256;
// Blocks that a multiprocessor is to hold at a time. Without such an aim the compiler saves registers and puts each
// load right before what needs it, so that a thread waits for one after the other.
constexpr int BLOCKS = 3;

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(bf16 value) { return __bfloat162float(value); }
__device__ inline void narrow(float value, float& to) { to = value; }
__device__ inline void narrow(float value, bf16& to) { to = __float2bfloat16_rn(value); }

// What a value is after it has been stored as T.
template <typename T>
__device__ inline float rounded(float value) {
    T stored;
    narrow(value, stored);
    return widen(stored);
}

// 16 bytes: 4 floats or 8 bf16.
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

// Per-channel floats for the channels of one pack; as channels are, they are aligned to 16 bytes.
template <int SIZE>
__device__ inline void load_coefficients(const float* from, float (&to)[SIZE]) {
    constexpr int STEP = Pack<float>::SIZE;
#pragma unroll
    for (int i = 0; i < SIZE; i += STEP) load(from + i, *reinterpret_cast<float(*)[STEP]>(to + i));
}

// A thread's place in a block of THREADS that covers `width` packs of each of `lanes` rows at a time.
// Blocks along x take turns down the rows, blocks along y stand side by side along the channels.
template <typename T>
struct Place {
    int width;   // packs of a row that the block covers
    int lanes;   // rows that the block covers at a time
    int column;  // the thread's pack within the block
    int lane;    // the thread's row within the block
    int channel; // the first channel of the thread's pack
    bool active; // whether there is work for the thread

    __device__ explicit Place(int channels) {
        const int packs = channels / Pack<T>::SIZE;
        width = packs < THREADS ? packs : THREADS;
        lanes = THREADS / width;
        column = threadIdx.x % width;
        lane = threadIdx.x / width;
        channel = (blockIdx.y * width + column) * Pack<T>::SIZE;
        active = lane < lanes && channel < channels;
    }
};

// Walks down the rows from the element `at`, `step` elements at a time: fetch(k, at) asks memory for what use(k, at)
// computes with, and keeps it under k. AHEAD rows are asked for before the first is used, because a thread that waits for
// each by itself leaves the memory idle, and a compiler puts no load before a store that might be to the same place.
template <int AHEAD, typename Fetch, typename Use>
__device__ inline void walk(int64_t at, int64_t end, int64_t step, Fetch fetch, Use use) {
    for (; at + (AHEAD - 1) * step < end; at += AHEAD * step) {
#pragma unroll
        for (int k = 0; k < AHEAD; ++k) fetch(k, at + k * step);
#pragma unroll
        for (int k = 0; k < AHEAD; ++k) use(k, at + k * step);
    }
    for (; at < end; at += step) {
        fetch(0, at);
        use(0, at);
    }
}

// The sum of `value` over the threads of a block, in a fixed order, for all of them. `shared` holds THREADS values.
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

// Makes a kernel known to the emulation; the driver finds kernels by their names.
#ifdef __CUDACC__
#define EXPORT(name)
#endif

// Defines `name_f32` and `name_bf16`, the kernels that the host finds by name, from the template `name`.
#define KERNEL(name, parameters, arguments) KERNEL_OF(BLOCKS, name, parameters, arguments)
// The same for a kernel whose threads need registers for more than BLOCKS leaves them.
#define LARGE_KERNEL(name, parameters, arguments) KERNEL_OF(BLOCKS - 1, name, parameters, arguments)
#define KERNEL_OF(blocks, name, parameters, arguments)                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) name##_f32 parameters(float) {                       \
        name<float> arguments;                                                                                         \
    }                                                                                                                  \
    EXPORT(name##_f32)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) name##_bf16 parameters(bf16) {                       \
        name<bf16> arguments;                                                                                          \
    }                                                                                                                  \
    EXPORT(name##_bf16)
