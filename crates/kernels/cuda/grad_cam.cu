// Grad-CAM (Selvaraju et al., arXiv 1610.02391): the sum of the channels of a layer, weighted by their mean gradients.
#include "element.cuh"

// Computes weights[image, channel], the mean of the gradient a + b over positions. `b` may be null. One thread per
// pack.
template <typename T>
__device__ inline void cam_weights(const T* a, const T* b, float* weights, int images, int positions, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int packs = channels / SIZE;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * packs) return;
    const int channel = (int)(index % packs) * SIZE;
    const int64_t image = index / packs;
    float sum[SIZE] = {};
    for (int position = 0; position < positions; ++position) {
        const int64_t at = (image * positions + position) * channels + channel;
        float gradient[SIZE], other[SIZE];
        load(a + at, gradient);
        if (b) load(b + at, other);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) sum[i] += b ? gradient[i] + other[i] : gradient[i];
    }
    for (int i = 0; i < SIZE; ++i) weights[image * channels + channel + i] = sum[i] / positions;
}

#define WEIGHTS_PARAMETERS(T) (const T* a, const T* b, float* weights, int images, int positions, int channels)
KERNEL(cam_weights, WEIGHTS_PARAMETERS, (a, b, weights, images, positions, channels))

// Computes map[image, position] = relu(dot(weights[image], activations[image, position])). One block per position.
template <typename T>
__device__ inline void cam_map(const T* activations, const float* weights, float* map, int positions, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    __shared__ float shared[THREADS];
    const int64_t pixel = blockIdx.x;
    const int64_t image = pixel / positions;
    float sum = 0;
#pragma unroll 2
    for (int channel = threadIdx.x * SIZE; channel < channels; channel += THREADS * SIZE) {
        float value[SIZE], weight[SIZE];
        load(activations + pixel * channels + channel, value);
        load_coefficients(weights + image * channels + channel, weight);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) sum += value[i] * weight[i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) map[pixel] = sum > 0 ? sum : 0;
}

#define MAP_PARAMETERS(T) (const T* activations, const float* weights, float* map, int positions, int channels)
KERNEL(cam_map, MAP_PARAMETERS, (activations, weights, map, positions, channels))
