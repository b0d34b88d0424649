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
#pragma unroll 4
        for (int64_t row = first + place.lane; row < end; row += place.lanes) {
            float value[SIZE];
            load(z + row * channels + place.channel, value);
#pragma unroll
            for (int i = 0; i < SIZE; ++i) {
                const float difference = value[i] - pivot[i];
                sum[i] += difference;
                squares[i] += difference * difference;
            }
        }
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

// y = relu(scale * z + shift), plus `shortcut`: nothing (null), a tensor (shortcut_coefficients null), or the batch norm
// of a tensor.
template <typename T>
__device__ inline void norm_apply(const T* z, const float* coefficients, const T* shortcut,
                                  const float* shortcut_coefficients, T* y, int64_t rows, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    const Place<T> place(channels);
    if (!place.active) return;
    float scale[SIZE], shift[SIZE], scale_x[SIZE], shift_x[SIZE];
    load_coefficients(coefficients + SCALE * channels + place.channel, scale);
    load_coefficients(coefficients + SHIFT * channels + place.channel, shift);
    if (shortcut_coefficients) {
        load_coefficients(shortcut_coefficients + SCALE * channels + place.channel, scale_x);
        load_coefficients(shortcut_coefficients + SHIFT * channels + place.channel, shift_x);
    }
    const int64_t stride = (int64_t)gridDim.x * place.lanes;
#pragma unroll 2
    for (int64_t row = (int64_t)blockIdx.x * place.lanes + place.lane; row < rows; row += stride) {
        const int64_t at = row * channels + place.channel;
        float value[SIZE], x[SIZE];
        load(z + at, value);
        if (shortcut) load(shortcut + at, x);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            value[i] = scale[i] * value[i] + shift[i];
            if (shortcut) value[i] += shortcut_coefficients ? scale_x[i] * x[i] + shift_x[i] : x[i];
            // Written so that NaN stays NaN.
            value[i] = value[i] < 0 ? 0 : value[i];
        }
        store(value, y + at);
    }
}

#define APPLY(T)                                                                                                       \
    (const T* z, const float* coefficients, const T* shortcut, const float* shortcut_coefficients, T* y, int64_t rows,    \
     int channels)
KERNEL(norm_apply, APPLY, (z, coefficients, shortcut, shortcut_coefficients, y, rows, channels))
