// The stem's 3x3 max pooling with stride 2 and padding 1, fused with batch norm and ReLU, and the average pooling over
// all positions before the classifier.
#include "norm.cuh"

constexpr int KERNEL_SIDE = 3;
constexpr int STRIDE = 2;
constexpr int PADDING = 1;
// The index for a window without a value above zero. Such a window passes no gradient because of the ReLU.
constexpr unsigned char NO_ARGMAX = 255;

// One byte for each channel of a pack.
template <int SIZE>
struct alignas(SIZE) Bytes {
    unsigned char values[SIZE];
};

// Returns the index from 0 to side - 1 that is nearest to `at`.
__device__ inline int clamp(int at, int side) { return at < 0 ? 0 : at < side ? at : side - 1; }

// Computes the maximum of relu(scale * z + shift) over each window. `argmax` receives the index of the maximum within
// the window, 0 to 8 in row-major order. Among equal values, the first counts. One thread per pack of the output.
template <typename T>
__device__ inline void max_pool(const T* z, const float* coefficients, T* pooled, unsigned char* argmax, int images,
                                int height, int width, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int packs = channels / SIZE;
    const int out_height = (height + 2 * PADDING - KERNEL_SIDE) / STRIDE + 1;
    const int out_width = (width + 2 * PADDING - KERNEL_SIDE) / STRIDE + 1;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * out_height * out_width * packs) return;
    const int channel = (int)(index % packs) * SIZE;
    const int64_t pixel = index / packs;
    const int out_x = (int)(pixel % out_width), out_y = (int)(pixel / out_width % out_height);
    const int64_t image = pixel / ((int64_t)out_width * out_height);
    float scale[SIZE], shift[SIZE], best[SIZE] = {};
    load_coefficients(coefficients + SCALE * channels + channel, scale);
    load_coefficients(coefficients + SHIFT * channels + channel, shift);
    Bytes<SIZE> best_tap;
#pragma unroll
    for (int i = 0; i < SIZE; ++i) best_tap.values[i] = NO_ARGMAX;
#pragma unroll
    for (int tap = 0; tap < KERNEL_SIDE * KERNEL_SIDE; ++tap) {
        const int y = out_y * STRIDE + tap / KERNEL_SIDE - PADDING;
        const int x = out_x * STRIDE + tap % KERNEL_SIDE - PADDING;
        // For a position outside of the image, the nearest pixel is read and ignored. With a branch instead, each load
        // would wait for the previous one.
        const int inner_y = clamp(y, height), inner_x = clamp(x, width);
        const bool inside = y == inner_y && x == inner_x;
        float value[SIZE];
        load(z + ((image * height + inner_y) * width + inner_x) * channels + channel, value);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            // Zero cannot become the maximum, because the comparison is strict. NaN can.
            const float normed = inside ? scale[i] * value[i] + shift[i] : 0;
            const bool higher = normed > best[i] || normed != normed;
            best[i] = higher ? normed : best[i];
            best_tap.values[i] = higher ? (unsigned char)tap : best_tap.values[i];
        }
    }
    const int64_t at = pixel * channels + channel;
    store(best, pooled + at);
    *reinterpret_cast<Bytes<SIZE>*>(argmax + at) = best_tap;
}

#define MAX_POOL_PARAMETERS(T)                                                                                         \
    (const T* z, const float* coefficients, T* pooled, unsigned char* argmax, int images, int height, int width,       \
     int channels)
KERNEL(max_pool, MAX_POOL_PARAMETERS, (z, coefficients, pooled, argmax, images, height, width, channels))

// A pooling window along one axis, and the index of an input element within it.
struct Window {
    int out; // the window's output index
    int tap;
};

// Returns the first (which = 0) or second (which = 1) of the `windows` windows that contains the element `at`. If there
// is none, returns a valid window with a tap that no argmax equals.
__device__ inline Window window(int at, int which, int windows) {
    const int out = (at + PADDING) / STRIDE - which;
    const int tap = at + PADDING - out * STRIDE;
    if (tap < KERNEL_SIDE && out < windows) return Window{out, tap};
    return Window{at / STRIDE, KERNEL_SIDE * KERNEL_SIDE};
}

// Computes the gradient of the max pooling's input from `a + b`, the gradient of its output. `b` may be null. The
// gradient of an input pixel is the sum of the gradients of the windows whose maximum it is. One thread per pack of the
// input, so that no element is written twice.
template <typename T>
__device__ inline void max_pool_backward(const T* a, const T* b, const unsigned char* argmax, T* g, int images,
                                         int height, int width, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int packs = channels / SIZE;
    const int out_height = (height + 2 * PADDING - KERNEL_SIDE) / STRIDE + 1;
    const int out_width = (width + 2 * PADDING - KERNEL_SIDE) / STRIDE + 1;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * height * width * packs) return;
    const int channel = (int)(index % packs) * SIZE;
    const int64_t pixel = index / packs;
    const int x = (int)(pixel % width), y = (int)(pixel / width % height);
    const int64_t image = pixel / ((int64_t)width * height);
    float sum[SIZE] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const Window down = window(y, i / 2, out_height), right = window(x, i % 2, out_width);
        const int tap = down.tap * KERNEL_SIDE + right.tap;
        const int64_t at = ((image * out_height + down.out) * out_width + right.out) * channels + channel;
        float gradient[SIZE], other[SIZE];
        load(a + at, gradient);
        if (b) load(b + at, other);
        const Bytes<SIZE> best_tap = *reinterpret_cast<const Bytes<SIZE>*>(argmax + at);
#pragma unroll
        for (int c = 0; c < SIZE; ++c) {
            const float total = b ? gradient[c] + other[c] : gradient[c];
            sum[c] += best_tap.values[c] == tap ? total : 0;
        }
    }
    store(sum, g + pixel * channels + channel);
}

#define MAX_POOL_BACKWARD_PARAMETERS(T)                                                                                \
    (const T* a, const T* b, const unsigned char* argmax, T* g, int images, int height, int width, int channels)
KERNEL(max_pool_backward, MAX_POOL_BACKWARD_PARAMETERS, (a, b, argmax, g, images, height, width, channels))

// Computes features [images, channels], the mean of y [images, positions, channels] over positions. One thread per
// pack.
template <typename T>
__device__ inline void average_pool(const T* y, float* features, int images, int positions, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int packs = channels / SIZE;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * packs) return;
    const int channel = (int)(index % packs) * SIZE;
    const int64_t image = index / packs;
    float sum[SIZE] = {};
#pragma unroll 4
    for (int position = 0; position < positions; ++position) {
        float value[SIZE];
        load(y + (image * positions + position) * channels + channel, value);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) sum[i] += value[i];
    }
    const float weight = 1.0f / positions;
    for (int i = 0; i < SIZE; ++i) features[image * channels + channel + i] = sum[i] * weight;
}

#define AVERAGE_POOL_PARAMETERS(T) (const T* y, float* features, int images, int positions, int channels)
KERNEL(average_pool, AVERAGE_POOL_PARAMETERS, (y, features, images, positions, channels))

// Computes the gradient of the average pooling's input, which is the same at all positions. One thread per pack of the
// input.
template <typename T>
__device__ inline void average_pool_backward(const float* features_gradient, T* g, int images, int positions,
                                             int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    const int packs = channels / SIZE;
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * positions * packs) return;
    const int channel = (int)(index % packs) * SIZE;
    const int64_t image = index / packs / positions;
    const float weight = 1.0f / positions;
    float gradient[SIZE];
    load_coefficients(features_gradient + image * channels + channel, gradient);
#pragma unroll
    for (int i = 0; i < SIZE; ++i) gradient[i] *= weight;
    store(gradient, g + index / packs * channels + channel);
}

#define AVERAGE_POOL_BACKWARD_PARAMETERS(T)                                                                            \
    (const float* features_gradient, T* g, int images, int positions, int channels)
KERNEL(average_pool_backward, AVERAGE_POOL_BACKWARD_PARAMETERS, (features_gradient, g, images, positions, channels))
