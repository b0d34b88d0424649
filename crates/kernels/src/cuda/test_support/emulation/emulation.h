// The part of CUDA that the kernels use, as C++. `element.cuh` includes it if the compiler is not nvcc. The threads of
// a block are fibers that run one after the other from barrier to barrier. Blocks run one after the other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static

struct Dim3 {
    unsigned x, y, z;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

extern Dim3 threadIdx, blockIdx, gridDim;
void __syncthreads();

struct bf16 {
    uint16_t bits;
};

inline float __bfloat162float(bf16 value) {
    const uint32_t bits = (uint32_t)value.bits << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

// Rounds to nearest, ties to even.
inline bf16 __float2bfloat16_rn(float value) {
    if (value != value) return bf16{0x7fff};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bf16{(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

using KernelFunction = void (*)(void** arguments);
void register_kernel(const char* name, KernelFunction body);

// Calls a kernel with an array of pointers to its arguments, as cuLaunchKernel does.
template <typename... Types, std::size_t... Indices>
void call(void (*kernel)(Types...), void** arguments, std::index_sequence<Indices...>) {
    kernel(*static_cast<Types*>(arguments[Indices])...);
}

template <typename... Types>
void call(void (*kernel)(Types...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<Types...>());
}

// Registers a kernel when the library is loaded.
#define EXPORT(name)                                                                                                   \
    __attribute__((constructor)) static void register_##name() {                                                       \
        register_kernel(#name, [](void** arguments) { call(name, arguments); });                                       \
    }
