// Pooling: the stem's maximum over 3x3 with stride 2 and padding 1 on top of batch norm and ReLU, and the average over
// all positions at the end.
#include "norm.cuh"

constexpr int KERNEL_SIDE = 3;
constexpr int STRIDE = 2;
constexpr int PADDING = 1;
constexpr unsigned char NO_WINNER = 255;

// One byte a channel, for the channels of one pack.
template <int SIZE>
struct alignas(SIZE) Bytes {
    unsigned char values[SIZE];
};

// The nearest of the places 0 to side - 1.
__device__ inline int clamp(int at, int side) { return at < 0 ? 0 : at < side ? at : side - 1; }

// pooled = maximum of relu(scale * z + shift); `winners` receives the winner's place in the kernel, the first of equals,
// and NO_WINNER where nothing is above zero: after the ReLU there is no gradient then. One thread per pack of the output.
template <typename T>
__device__ inline void max_pool(const T* z, const float* coefficients, T* pooled, unsigned char* winners, int images,
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
    Bytes<SIZE> winner;
#pragma unroll
    for (int i = 0; i < SIZE; ++i) winner.values[i] = NO_WINNER;
#pragma unroll
    for (int tap = 0; tap < KERNEL_SIDE * KERNEL_SIDE; ++tap) {
        const int y = out_y * STRIDE + tap / KERNEL_SIDE - PADDING;
        const int x = out_x * STRIDE + tap % KERNEL_SIDE - PADDING;
        // Beyond the edge the edge is read, and does not count: behind a branch each load waits for the one before.
        const int inner_y = clamp(y, height), inner_x = clamp(x, width);
        const bool inside = y == inner_y && x == inner_x;
        float value[SIZE];
        load(z + ((image * height + inner_y) * width + inner_x) * channels + channel, value);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            // Zero never wins.
            const float normed = inside ? scale[i] * value[i] + shift[i] : 0;
            const bool wins = normed > best[i] || normed != normed;
            best[i] = wins ? normed : best[i];
            winner.values[i] = wins ? (unsigned char)tap : winner.values[i];
        }
    }
    const int64_t at = pixel * channels + channel;
    store(best, pooled + at);
    *reinterpret_cast<Bytes<SIZE>*>(winners + at) = winner;
}

#define MAX_POOL(T)                                                                                                    \
    (const T* z, const float* coefficients, T* pooled, unsigned char* winners, int images, int height, int width,      \
     int channels)
KERNEL(max_pool, MAX_POOL, (z, coefficients, pooled, winners, images, height, width, channels))

// A window along one axis, and which of its elements an element of the input is.
struct Window {
    int out;
    int tap;
};

// The first or the second window that holds the element `at`, of `windows`. Where there is none, one that can be read,
// with a tap that wins nothing.
__device__ inline Window window(int at, int which, int windows) {
    const int out = (at + PADDING) / STRIDE - which;
    const int tap = at + PADDING - out * STRIDE;
    if (tap < KERNEL_SIDE && out < windows) return Window{out, tap};
    return Window{at / STRIDE, KERNEL_SIDE * KERNEL_SIDE};
}

// The gradient of the pooling's input, from that of its output, `a + b` (b may be null): each pixel of the input adds up
// the windows that it won. One thread per pack of the input, so that nothing is written twice.
template <typename T>
__device__ inline void max_pool_backward(const T* a, const T* b, const unsigned char* winners, T* g, int images,
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
        const Bytes<SIZE> winner = *reinterpret_cast<const Bytes<SIZE>*>(winners + at);
#pragma unroll
        for (int c = 0; c < SIZE; ++c) {
            const float whole = b ? gradient[c] + other[c] : gradient[c];
            sum[c] += winner.values[c] == tap ? whole : 0;
        }
    }
    store(sum, g + pixel * channels + channel);
}

#define MAX_POOL_BACKWARD(T)                                                                                           \
    (const T* a, const T* b, const unsigned char* winners, T* g, int images, int height, int width, int channels)
KERNEL(max_pool_backward, MAX_POOL_BACKWARD, (a, b, winners, g, images, height, width, channels))

// features = mean over positions: [images, positions, channels] to [images, channels]. One thread per pack.
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

#define AVERAGE_POOL(T) (const T* y, float* features, int images, int positions, int channels)
KERNEL(average_pool, AVERAGE_POOL, (y, features, images, positions, channels))

// The gradient of the average's input: each position gets its share. One thread per pack of the input.
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
    float share[SIZE];
    load_coefficients(features_gradient + image * channels + channel, share);
#pragma unroll
    for (int i = 0; i < SIZE; ++i) share[i] *= weight;
    store(share, g + index / packs * channels + channel);
}

#define AVERAGE_POOL_BACKWARD(T) (const float* features_gradient, T* g, int images, int positions, int channels)
KERNEL(average_pool_backward, AVERAGE_POOL_BACKWARD, (features_gradient, g, images, positions, channels))
