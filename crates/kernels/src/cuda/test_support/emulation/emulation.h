// The kernels' CUDA as plain C++: what `element.cuh` includes where nvcc is not the compiler. The threads of a block are
// fibers that run one after the other from barrier to barrier, the blocks follow each other.
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

struct Index {
    unsigned x, y, z;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

extern Index threadIdx, blockIdx, gridDim;
void __syncthreads();

struct bf16 {
    uint16_t bits;
};

inline float __bfloat162float(bf16 value) {
    const uint32_t bits = (uint32_t)value.bits << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

// To the nearest, ties to even.
inline bf16 __float2bfloat16_rn(float value) {
    if (value != value) return bf16{0x7fff};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bf16{(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

using Body = void (*)(void** arguments);
void register_kernel(const char* name, Body body);

// Calls a kernel with arguments behind pointers, as cuLaunchKernel does.
template <typename... Types, std::size_t... Places>
void call(void (*kernel)(Types...), void** arguments, std::index_sequence<Places...>) {
    kernel(*static_cast<Types*>(arguments[Places])...);
}

template <typename... Types>
void call(void (*kernel)(Types...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<Types...>());
}

#define EXPORT(name)                                                                                                   \
    __attribute__((constructor)) static void register_##name() {                                                       \
        register_kernel(#name, [](void** arguments) { call(name, arguments); });                                       \
    }
