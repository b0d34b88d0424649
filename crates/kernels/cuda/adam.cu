// Adam (Kingma and Ba, arXiv 1412.6980) over all parameters in one launch, with torch.optim.Adam's arithmetic.
//
// The masters, moments and gradients are flat, the convolutions' weights first: their gradients come from cuDNN as T and
// their working copies are T; everything behind them has f32 gradients and no copy.
#include "element.cuh"

// The constants of one step, rounded on the host where PyTorch rounds them.
struct AdamStep {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, step_size, root_correction, eps;
};

// `len` and `convolution_len` divide by 8; `copies` is null where T is f32 and the masters are the working copies. One
// thread per 8 parameters.
template <typename T>
__device__ inline void adam(float* masters, T* copies, float* means, float* squares, const T* convolution_gradients,
                            const float* gradients, int64_t len, int64_t convolution_len, AdamStep step) {
    constexpr int SIZE = 8;
    constexpr int HALF = Pack<float>::SIZE;
    const int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * SIZE;
    if (at >= len) return;
    const bool convolution = at < convolution_len;
    float g[SIZE];
#pragma unroll
    for (int i = 0; i < SIZE; i += HALF) {
        const float4 from = convolution ? float4{} : *reinterpret_cast<const float4*>(gradients + at - convolution_len + i);
        g[i] = from.x, g[i + 1] = from.y, g[i + 2] = from.z, g[i + 3] = from.w;
    }
    if (convolution) {
#pragma unroll
        for (int i = 0; i < SIZE; i += Pack<T>::SIZE) {
            load(convolution_gradients + at + i, *reinterpret_cast<float(*)[Pack<T>::SIZE]>(g + i));
        }
    }
    float updated[SIZE];
#pragma unroll
    for (int i = 0; i < SIZE; i += HALF) {
        float p[HALF], m[HALF], v[HALF];
        load(masters + at + i, p);
        load(means + at + i, m);
        load(squares + at + i, v);
#pragma unroll
        for (int j = 0; j < HALF; ++j) {
            m[j] = step.beta1 * m[j] + step.one_minus_beta1 * g[i + j];
            v[j] = step.beta2 * v[j] + step.one_minus_beta2 * g[i + j] * g[i + j];
            const float root = sqrtf(v[j]) / step.root_correction + step.eps;
            p[j] -= step.step_size * (m[j] / root);
            updated[i + j] = p[j];
        }
        store(p, masters + at + i);
        store(m, means + at + i);
        store(v, squares + at + i);
    }
    if (convolution && copies) {
#pragma unroll
        for (int i = 0; i < SIZE; i += Pack<T>::SIZE) {
            store(*reinterpret_cast<float(*)[Pack<T>::SIZE]>(updated + i), copies + at + i);
        }
    }
}

#define ADAM(T)                                                                                                        \
    (float* masters, T* copies, float* means, float* squares, const T* convolution_gradients, const float* gradients,  \
     int64_t len, int64_t convolution_len, AdamStep step)
KERNEL(adam, ADAM,
       (masters, copies, means, squares, convolution_gradients, gradients, len, convolution_len, step))
