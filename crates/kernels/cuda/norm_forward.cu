// The forward pass of batch normalisation (Ioffe and Szegedy, arXiv 1502.03167): the statistics of the convolution's
// output z, and y = relu(scale * z + shift + shortcut) in one pass over the tensors.
#include "norm.cuh"

// Writes the partial sums of each chunk of `rows_per_chunk` rows (block x), per channel: a pivot, the sum of z - pivot,
// and the sum of (z - pivot)^2. The pivot is the chunk's first value. It keeps the squares small if the mean is far
// from zero.
template <typename T>
__device__ inline void norm_statistics(const T* z, float* sums, int64_t rows, int channels, int64_t rows_per_chunk) {
    constexpr int SIZE = Pack<T>::SIZE;
    __shared__ float partial[2][THREADS][SIZE + 1]; // padded to avoid bank conflicts
    const ThreadPosition<T> thread(channels);
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    float pivot[SIZE] = {}, sum[SIZE] = {}, squares[SIZE] = {};
    if (thread.active) {
        load(z + first * channels + thread.channel, pivot);
        constexpr int PREFETCH = 4;
        Pack<T> zs[PREFETCH];
        const auto fetch_row = [&](int k, int64_t at) { zs[k] = fetch(z + at); };
        const int64_t at = (first + thread.lane) * channels + thread.channel;
        for_each_row<PREFETCH>(at, end * channels, thread.lanes * (int64_t)channels, fetch_row, [&](int k, int64_t) {
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
    if (!thread.active || thread.lane != 0) return;
    float* to = sums + blockIdx.x * (int64_t)PARTIAL_SUMS * channels + thread.channel;
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
        float total = 0, total_squares = 0;
        for (int lane = 0; lane < thread.lanes; ++lane) {
            total += partial[0][lane * thread.width + thread.column][i];
            total_squares += partial[1][lane * thread.width + thread.column][i];
        }
        to[i] = pivot[i];
        to[channels + i] = total;
        to[2 * channels + i] = total_squares;
    }
}

#define STATISTICS_PARAMETERS(T) (const T* z, float* sums, int64_t rows, int channels, int64_t rows_per_chunk)
KERNEL(norm_statistics, STATISTICS_PARAMETERS, (z, sums, rows, channels, rows_per_chunk))

__device__ inline void write_coefficients(float* coefficients, int channels, int c, double mean, double variance,
                                          float weight, float bias, double epsilon) {
    const double inverse_std = 1.0 / sqrt(variance + epsilon);
    const double scale = weight * inverse_std;
    coefficients[MEAN * channels + c] = (float)mean;
    coefficients[INVERSE_STD * channels + c] = (float)inverse_std;
    coefficients[SCALE * channels + c] = (float)scale;
    coefficients[SHIFT * channels + c] = (float)(bias - mean * scale);
}

// Returns the exponential moving average of a running statistic.
__device__ inline float moving_average(float old, double value, double momentum) {
    return (float)((1.0 - momentum) * old + momentum * value);
}

// Computes the coefficients of a batch from the partial sums of its chunks, and updates the running statistics. The
// running variance is updated with the unbiased variance.
extern "C" __global__ void __launch_bounds__(THREADS)
norm_batch_coefficients(const float* sums, const float* weight, const float* bias, float* coefficients,
                        float* running_mean, float* running_variance, int64_t rows, int channels, int chunks,
                        int64_t rows_per_chunk, double epsilon, double momentum) {
    __shared__ double partial[2][THREADS];
    const int c = blockIdx.x * CHANNELS_PER_BLOCK + threadIdx.x % CHANNELS_PER_BLOCK;
    const int first_chunk = threadIdx.x / CHANNELS_PER_BLOCK;
    // Sums of z and of z * z over all rows, in double because their difference cancels most digits.
    double sum = 0, squares = 0;
    if (c < channels) {
        // All full chunks share one division, because divisions of doubles are slow. Only the last chunk may be
        // shorter.
        const double inverse_of_full = 1.0 / rows_per_chunk;
#pragma unroll 4
        for (int chunk = first_chunk; chunk < chunks; chunk += THREADS_PER_CHANNEL) {
            const float* from = sums + chunk * (int64_t)PARTIAL_SUMS * channels + c;
            const int64_t left = rows - chunk * rows_per_chunk;
            const double count = (double)(left < rows_per_chunk ? left : rows_per_chunk);
            const double inverse = left < rows_per_chunk ? 1.0 / count : inverse_of_full;
            const double total = from[channels];
            const double mean = from[0] + total * inverse;
            sum += count * mean;
            squares += count * mean * mean + (from[2 * channels] - total * total * inverse);
        }
    }
    partial[0][threadIdx.x] = sum;
    partial[1][threadIdx.x] = squares;
    __syncthreads();
    if (c >= channels || first_chunk != 0) return;
    sum = squares = 0;
    for (int i = 0; i < THREADS_PER_CHANNEL; ++i) {
        sum += partial[0][i * CHANNELS_PER_BLOCK + threadIdx.x];
        squares += partial[1][i * CHANNELS_PER_BLOCK + threadIdx.x];
    }
    const double mean = sum / rows;
    const double difference = squares - sum * mean;
    const double squared_deviations = difference > 0 ? difference : 0;
    write_coefficients(coefficients, channels, c, mean, squared_deviations / rows, weight[c], bias[c], epsilon);
    running_mean[c] = moving_average(running_mean[c], mean, momentum);
    running_variance[c] = moving_average(running_variance[c], squared_deviations / (rows - 1), momentum);
}
EXPORT(norm_batch_coefficients)

// Computes the coefficients from the running statistics, for inference.
extern "C" __global__ void __launch_bounds__(THREADS)
norm_running_coefficients(const float* weight, const float* bias, const float* running_mean,
                          const float* running_variance, float* coefficients, int channels, double epsilon) {
    const int c = blockIdx.x * THREADS + threadIdx.x;
    if (c >= channels) return;
    write_coefficients(coefficients, channels, c, running_mean[c], running_variance[c], weight[c], bias[c], epsilon);
}
EXPORT(norm_running_coefficients)

// The tensor that is added before the ReLU.
enum Shortcut {
    NONE,
    IDENTITY,   // the tensor x
    PROJECTION, // the batch norm of x, with its own coefficients
};

// Computes y = relu(scale * z + shift + shortcut). Each kind of shortcut has its own kernel, so that no kernel needs
// registers for the other kinds.
template <typename T, Shortcut SHORTCUT>
__device__ inline void norm_and_add(const T* z, const float* coefficients, const T* x, const float* x_coefficients,
                                    T* y, int64_t rows, int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    constexpr int PREFETCH = SHORTCUT == NONE ? 4 : 2;
    const ThreadPosition<T> thread(channels);
    if (!thread.active) return;
    float scale[SIZE], shift[SIZE], scale_x[SIZE], shift_x[SIZE];
    load_coefficients(coefficients + SCALE * channels + thread.channel, scale);
    load_coefficients(coefficients + SHIFT * channels + thread.channel, shift);
    if (SHORTCUT == PROJECTION) {
        load_coefficients(x_coefficients + SCALE * channels + thread.channel, scale_x);
        load_coefficients(x_coefficients + SHIFT * channels + thread.channel, shift_x);
    }
    Pack<T> zs[PREFETCH], xs[PREFETCH];
    const auto fetch_row = [&](int k, int64_t at) {
        zs[k] = fetch(z + at);
        if (SHORTCUT != NONE) xs[k] = fetch(x + at);
    };
    const int64_t first = ((int64_t)blockIdx.x * thread.lanes + thread.lane) * channels + thread.channel;
    const int64_t step = (int64_t)gridDim.x * thread.lanes * channels;
    for_each_row<PREFETCH>(first, rows * channels, step, fetch_row, [&](int k, int64_t at) {
        float value[SIZE], other[SIZE];
        widen(zs[k], value);
        if (SHORTCUT != NONE) widen(xs[k], other);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            value[i] = scale[i] * value[i] + shift[i];
            if (SHORTCUT == IDENTITY) value[i] += other[i];
            if (SHORTCUT == PROJECTION) value[i] += scale_x[i] * other[i] + shift_x[i];
            // This form of the ReLU propagates NaN.
            value[i] = value[i] < 0 ? 0 : value[i];
        }
        store(value, y + at);
    });
}

#define APPLY_PARAMETERS(T)                                                                                            \
    (const T* z, const float* coefficients, const T* x, const float* x_coefficients, T* y, int64_t rows,               \
     int channels)
#define APPLY_ARGUMENTS (z, coefficients, x, x_coefficients, y, rows, channels)
template <typename T>
__device__ inline void norm_apply APPLY_PARAMETERS(T) { norm_and_add<T, NONE> APPLY_ARGUMENTS; }
template <typename T>
__device__ inline void norm_apply_identity APPLY_PARAMETERS(T) { norm_and_add<T, IDENTITY> APPLY_ARGUMENTS; }
template <typename T>
__device__ inline void norm_apply_projection APPLY_PARAMETERS(T) { norm_and_add<T, PROJECTION> APPLY_ARGUMENTS; }
KERNEL(norm_apply, APPLY_PARAMETERS, APPLY_ARGUMENTS)
KERNEL(norm_apply_identity, APPLY_PARAMETERS, APPLY_ARGUMENTS)
KERNEL(norm_apply_projection, APPLY_PARAMETERS, APPLY_ARGUMENTS)
