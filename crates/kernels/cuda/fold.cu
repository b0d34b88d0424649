// Folds a batch norm with running statistics into the convolution before it, for inference.
#include "norm.cuh"

// Computes folded[output] = scale[output] * weights[output] for weights [outputs, len], len a multiple of a pack, and
// bias = shift. `projection`, which may be null, holds the coefficients of a projection's norm. Its shift is added to
// the bias, because the projection's output is added before the ReLU. One thread per pack of the weights. The first
// `outputs` threads also write one bias each. There are enough threads, because each output has at least one pack.
template <typename T>
__device__ inline void fold_norm(const float* weights, const float* coefficients, const float* projection, T* folded,
                                 T* bias, int outputs, int len) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int packs = len / SIZE;
    if (index < outputs) {
        const float projection_shift = projection ? projection[SHIFT * outputs + index] : 0;
        narrow(coefficients[SHIFT * outputs + index] + projection_shift, bias[index]);
    }
    if (index >= (int64_t)outputs * packs) return;
    const float scale = coefficients[SCALE * outputs + index / packs];
    float value[SIZE];
    load_coefficients(weights + index * SIZE, value);
#pragma unroll
    for (int i = 0; i < SIZE; ++i) value[i] *= scale;
    store(value, folded + index * SIZE);
}

#define FOLD_PARAMETERS(T)                                                                                             \
    (const float* weights, const float* coefficients, const float* projection, T* folded, T* bias, int outputs, int len)
KERNEL(fold_norm, FOLD_PARAMETERS, (weights, coefficients, projection, folded, bias, outputs, len))
