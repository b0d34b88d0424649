// Batch normalisation forward (Ioffe and Szegedy, arXiv 1502.03167): statistics of the convolution's output z, and
// y = relu(scale * z + shift + shortcut) in one pass over the tensors.
#include "norm.cuh"

// For each unit of `rows_per_unit` rows (block x), per channel: a pivot, the sum of z - pivot and of its square. The
// pivot, the unit's first value, keeps the squares small where the mean is far from zero.
template <typename T>
__device__ inline void norm_statistics(const T* z, float* sums, int64_t rows, int channels, int64_t rows_per_unit) {
    constexpr int SIZE = Pack<T>::SIZE;
    __shared__ float partial[2][THREADS][SIZE + 1]; // one more, so that threads fall on different banks
    const Place<T> place(channels);
    const int64_t first = blockIdx.x * rows_per_unit;
    const int64_t end = first + rows_per_unit < rows ? first + rows_per_unit : rows;
    float pivot[SIZE] = {}, sum[SIZE] = {}, squares[SIZE] = {};
    if (place.active) {
        load(z + first * channels + place.channel, pivot);
        constexpr int AHEAD = 4;
        Pack<T> zs[AHEAD];
        const auto fetch_row = [&](int k, int64_t at) { zs[k] = fetch(z + at); };
        const int64_t at = (first + place.lane) * channels + place.channel;
        walk<AHEAD>(at, end * channels, place.lanes * (int64_t)channels, fetch_row, [&](int k, int64_t) {
            float value[SIZE];
            widen(zs[k], value);
#pragma unroll
            for (int i = 0; i < SIZE; ++i) {
                const float difference = value[i] - pivot[i];
                sum[i] += difference;
                squares[i] += difference * difference;
            }
        });
    }
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
        partial[0][threadIdx.x][i] = sum[i];
        partial[1][threadIdx.x][i] = squares[i];
    }
    __syncthreads();
    if (!place.active || place.lane != 0) return;
    float* to = sums + blockIdx.x * (int64_t)SUMS * channels + place.channel;
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
        float total = 0, total_squares = 0;
        for (int lane = 0; lane < place.lanes; ++lane) {
            total += partial[0][lane * place.width + place.column][i];
            total_squares += partial[1][lane * place.width + place.column][i];
        }
        to[i] = pivot[i];
        to[channels + i] = total;
        to[2 * channels + i] = total_squares;
    }
}

#define STATISTICS(T) (const T* z, float* sums, int64_t rows, int channels, int64_t rows_per_unit)
KERNEL(norm_statistics, STATISTICS, (z, sums, rows, channels, rows_per_unit))

__device__ inline void write_coefficients(float* coefficients, int channels, int c, double mean, double variance,
                                          float weight, float bias, double epsilon) {
    const double inverse = 1.0 / sqrt(variance + epsilon);
    const double scale = weight * inverse;
    coefficients[MEAN * channels + c] = (float)mean;
    coefficients[INVERSE * channels + c] = (float)inverse;
    coefficients[SCALE * channels + c] = (float)scale;
    coefficients[SHIFT * channels + c] = (float)(bias - mean * scale);
}

__device__ inline float moved(float old, double now, double momentum) {
    return (float)((1.0 - momentum) * old + momentum * now);
}

// From the units' sums to the coefficients of the batch; the running statistics move on (the variance unbiased there).
extern "C" __global__ void __launch_bounds__(THREADS)
norm_of_batch(const float* sums, const float* weight, const float* bias, float* coefficients, float* running_mean,
              float* running_variance, int64_t rows, int channels, int units, int64_t rows_per_unit, double epsilon,
              double momentum) {
    __shared__ double partial[2][THREADS];
    const int c = blockIdx.x * CHANNELS_PER_BLOCK + threadIdx.x % CHANNELS_PER_BLOCK;
    const int sharer = threadIdx.x / CHANNELS_PER_BLOCK;
    // Sums of x and of x * x over all rows; double holds what cancels between them.
    double sum = 0, squares = 0;
    if (c < channels) {
        // Only the last unit may have fewer rows: one division for all others, because those of doubles are slow.
        const double inverse_of_full = 1.0 / rows_per_unit;
#pragma unroll 4
        for (int unit = sharer; unit < units; unit += SHARERS) {
            const float* from = sums + unit * (int64_t)SUMS * channels + c;
            const int64_t left = rows - unit * rows_per_unit;
            const double count = (double)(left < rows_per_unit ? left : rows_per_unit);
            const double inverse = left < rows_per_unit ? 1.0 / count : inverse_of_full;
            const double total = from[channels];
            const double mean = from[0] + total * inverse;
            sum += count * mean;
            squares += count * mean * mean + (from[2 * channels] - total * total * inverse);
        }
    }
    partial[0][threadIdx.x] = sum;
    partial[1][threadIdx.x] = squares;
    __syncthreads();
    if (c >= channels || sharer != 0) return;
    sum = squares = 0;
    for (int i = 0; i < SHARERS; ++i) {
        sum += partial[0][i * CHANNELS_PER_BLOCK + threadIdx.x];
        squares += partial[1][i * CHANNELS_PER_BLOCK + threadIdx.x];
    }
    const double mean = sum / rows;
    const double around = squares - sum * mean;
    const double spread = around > 0 ? around : 0;
    write_coefficients(coefficients, channels, c, mean, spread / rows, weight[c], bias[c], epsilon);
    running_mean[c] = moved(running_mean[c], mean, momentum);
    running_variance[c] = moved(running_variance[c], spread / (rows - 1), momentum);
}
EXPORT(norm_of_batch)

// The coefficients of the running statistics, for evaluation.
extern "C" __global__ void __launch_bounds__(THREADS)
norm_of_running(const float* weight, const float* bias, const float* running_mean, const float* running_variance,
                float* coefficients, int channels, double epsilon) {
    const int c = blockIdx.x * THREADS + threadIdx.x;
    if (c >= channels) return;
    write_coefficients(coefficients, channels, c, running_mean[c], running_variance[c], weight[c], bias[c], epsilon);
}
EXPORT(norm_of_running)

// What is added before the ReLU.
enum Shortcut {
    NONE,
    PLAIN,  // the tensor x
    NORMED, // the batch norm of x, by coefficients of its own
};

// y = relu(scale * z + shift + shortcut). A kernel for each kind of shortcut, so that none holds registers for another.
template <typename T, Shortcut SHORTCUT>
__device__ inline void norm_and_add(const T* z, const float* coefficients, const T* x, const float* coefficients_of_x,
                                    T* y, int64_t rows, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    constexpr int AHEAD = SHORTCUT == NONE ? 4 : 2;
    const Place<T> place(channels);
    if (!place.active) return;
    float scale[SIZE], shift[SIZE], scale_x[SIZE], shift_x[SIZE];
    load_coefficients(coefficients + SCALE * channels + place.channel, scale);
    load_coefficients(coefficients + SHIFT * channels + place.channel, shift);
    if (SHORTCUT == NORMED) {
        load_coefficients(coefficients_of_x + SCALE * channels + place.channel, scale_x);
        load_coefficients(coefficients_of_x + SHIFT * channels + place.channel, shift_x);
    }
    Pack<T> zs[AHEAD], xs[AHEAD];
    const auto fetch_row = [&](int k, int64_t at) {
        zs[k] = fetch(z + at);
        if (SHORTCUT != NONE) xs[k] = fetch(x + at);
    };
    const int64_t first = ((int64_t)blockIdx.x * place.lanes + place.lane) * channels + place.channel;
    const int64_t step = (int64_t)gridDim.x * place.lanes * channels;
    walk<AHEAD>(first, rows * channels, step, fetch_row, [&](int k, int64_t at) {
        float value[SIZE], other[SIZE];
        widen(zs[k], value);
        if (SHORTCUT != NONE) widen(xs[k], other);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            value[i] = scale[i] * value[i] + shift[i];
            if (SHORTCUT == PLAIN) value[i] += other[i];
            if (SHORTCUT == NORMED) value[i] += scale_x[i] * other[i] + shift_x[i];
            // Written so that NaN stays NaN.
            value[i] = value[i] < 0 ? 0 : value[i];
        }
        store(value, y + at);
    });
}

#define APPLY(T)                                                                                                       \
    (const T* z, const float* coefficients, const T* x, const float* coefficients_of_x, T* y, int64_t rows,            \
     int channels)
#define APPLIED (z, coefficients, x, coefficients_of_x, y, rows, channels)
template <typename T>
__device__ inline void norm_apply APPLY(T) { norm_and_add<T, NONE> APPLIED; }
template <typename T>
__device__ inline void norm_apply_identity APPLY(T) { norm_and_add<T, PLAIN> APPLIED; }
template <typename T>
__device__ inline void norm_apply_projection APPLY(T) { norm_and_add<T, NORMED> APPLIED; }
KERNEL(norm_apply, APPLY, APPLIED)
KERNEL(norm_apply_identity, APPLY, APPLIED)
KERNEL(norm_apply_projection, APPLY, APPLIED)
