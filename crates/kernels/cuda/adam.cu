// Adam (Kingma and Ba, arXiv 1412.6980) for all parameters in one launch, with the arithmetic of torch.optim.Adam.
//
// The f32 master parameters and the moments are flat buffers in which the weights of convolutions come first. For these
// weights, cuDNN computes gradients in T and reads copies in T. The other parameters have f32 gradients and no copies.
#include "element.cuh"

// The constants of one step, which the host rounds as PyTorch does. `AdamStep` in adam.rs has the same layout.
struct AdamStep {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, step_size, root_correction, eps;
};

// `len` and `convolution_len` are multiples of 8. If T is f32, `copies` is null, because cuDNN reads the masters. One
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
        const float* other = gradients + at - convolution_len + i;
        const float4 from = convolution ? float4{} : *reinterpret_cast<const float4*>(other);
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
            const float denominator = sqrtf(v[j]) / step.root_correction + step.eps;
            p[j] -= step.step_size * (m[j] / denominator);
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

#define ADAM_PARAMETERS(T)                                                                                             \
    (float* masters, T* copies, float* means, float* squares, const T* convolution_gradients, const float* gradients,  \
     int64_t len, int64_t convolution_len, AdamStep step)
KERNEL(adam, ADAM_PARAMETERS,
       (masters, copies, means, squares, convolution_gradients, gradients, len, convolution_len, step))
