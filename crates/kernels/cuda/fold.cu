// Batch norm with running statistics folded into the convolution before it, for inference.
#include "norm.cuh"

// folded = scale of its output * weight, [outputs, len] with len a multiple of a pack, from the f32 masters; bias = shift,
// plus that of a projection whose output is added before the ReLU (`projection` may be null). One thread per pack of the
// weights; the first threads also write a bias each, as there are never fewer packs than outputs.
template <typename T>
__device__ inline void fold_norm(const float* weights, const float* coefficients, const float* projection, T* folded,
                                 T* bias, int outputs, int len) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    const int packs = len / SIZE;
    if (index < outputs) {
        const float other = projection ? projection[SHIFT * outputs + index] : 0;
        narrow(coefficients[SHIFT * outputs + index] + other, bias[index]);
    }
    if (index >= (int64_t)outputs * packs) return;
    const float scale = coefficients[SCALE * outputs + index / packs];
    float value[SIZE];
    load_coefficients(weights + index * SIZE, value);
#pragma unroll
    for (int i = 0; i < SIZE; ++i) value[i] *= scale;
    store(value, folded + index * SIZE);
}

#define FOLD_NORM(T)                                                                                                   \
    (const float* weights, const float* coefficients, const float* projection, T* folded, T* bias, int outputs, int len)
KERNEL(fold_norm, FOLD_NORM, (weights, coefficients, projection, folded, bias, outputs, len))
