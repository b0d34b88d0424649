// The backward pass of batch normalisation. With x̂ = (z - mean) * inverse_std and g the gradient of the norm's output,
//   dz = weight * inverse_std * (g - mean(g) - x̂ * mean(g * x̂)).
// This is linear in g and z. The first kernel computes the sums of g and of g * (z - mean). The second computes the
// factors. The third computes dz = g_factor * g + z_factor * (z - mean) + offset.
#include "norm.cuh"

// A thread's partial sums for its channels.
template <int SIZE>
struct ChannelSums {
    float values[PARTIAL_SUMS][SIZE] = {};
};

// Adds the sums of all threads of a block that have the same channels, and writes the totals as the chunk's partial
// sums.
template <typename T>
__device__ inline void write_sums(const ThreadPosition<T>& thread, const ChannelSums<Pack<T>::SIZE>& own, float* sums,
                                  int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    __shared__ float partial[PARTIAL_SUMS][THREADS][SIZE + 1];
#pragma unroll
    for (int kind = 0; kind < PARTIAL_SUMS; ++kind) {
#pragma unroll
        for (int i = 0; i < SIZE; ++i) partial[kind][threadIdx.x][i] = own.values[kind][i];
    }
    __syncthreads();
    if (!thread.active || thread.lane != 0) return;
    for (int kind = 0; kind < PARTIAL_SUMS; ++kind) {
        float* to = sums + (blockIdx.x * (int64_t)PARTIAL_SUMS + kind) * channels + thread.channel;
        for (int i = 0; i < SIZE; ++i) {
            float total = 0;
            for (int lane = 0; lane < thread.lanes; ++lane) {
                total += partial[kind][lane * thread.width + thread.column][i];
            }
            to[i] = total;
        }
    }
}

// Computes the partial sums for a norm with a ReLU after it. g is the gradient of the ReLU's output; the ReLU's mask is
// recomputed from z.
template <typename T>
__device__ inline void norm_backward_sums(const T* g, const T* z, const float* coefficients, float* sums, int64_t rows,
                                          int channels, int64_t rows_per_chunk) {
    constexpr int SIZE = Pack<T>::SIZE;
    const ThreadPosition<T> thread(channels);
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    ChannelSums<SIZE> own;
    if (thread.active) {
        float mean[SIZE], scale[SIZE], shift[SIZE];
        load_coefficients(coefficients + MEAN * channels + thread.channel, mean);
        load_coefficients(coefficients + SCALE * channels + thread.channel, scale);
        load_coefficients(coefficients + SHIFT * channels + thread.channel, shift);
        constexpr int PREFETCH = 2;
        Pack<T> gs[PREFETCH], zs[PREFETCH];
        const auto fetch_row = [&](int k, int64_t at) {
            gs[k] = fetch(g + at);
            zs[k] = fetch(z + at);
        };
        const int64_t at = (first + thread.lane) * channels + thread.channel;
        for_each_row<PREFETCH>(at, end * channels, thread.lanes * (int64_t)channels, fetch_row, [&](int k, int64_t) {
            float gradient[SIZE], value[SIZE];
            widen(gs[k], gradient);
            widen(zs[k], value);
#pragma unroll
            for (int i = 0; i < SIZE; ++i) {
                const float masked = scale[i] * value[i] + shift[i] > 0 ? gradient[i] : 0;
                own.values[0][i] += masked;
                own.values[1][i] += masked * (value[i] - mean[i]);
            }
        });
    }
    write_sums(thread, own, sums, channels);
}

#define SUMS_PARAMETERS(T)                                                                                             \
    (const T* g, const T* z, const float* coefficients, float* sums, int64_t rows, int channels, int64_t rows_per_chunk)
KERNEL(norm_backward_sums, SUMS_PARAMETERS, (g, z, coefficients, sums, rows, channels, rows_per_chunk))

// The end of a residual block. Computes g = a + b, the gradient of the block's output y, and applies the mask of the
// block's last ReLU. Also computes the partial sums for the norm of z and, with a projection, for the norm of
// shortcut_z. `b` may be null, and `g` may be `a`.
template <typename T, bool PROJECTION>
__device__ inline void residual_join(const T* a, const T* b, const T* y, const T* z, const float* coefficients,
                                     const T* shortcut_z, const float* shortcut_coefficients, T* g, float* sums,
                                     int64_t rows, int channels, int64_t rows_per_chunk) {
    constexpr int SIZE = Pack<T>::SIZE;
    const ThreadPosition<T> thread(channels);
    const int64_t first = blockIdx.x * rows_per_chunk;
    const int64_t end = first + rows_per_chunk < rows ? first + rows_per_chunk : rows;
    ChannelSums<SIZE> own;
    if (thread.active) {
        float mean[SIZE], shortcut_mean[SIZE];
        load_coefficients(coefficients + MEAN * channels + thread.channel, mean);
        if (PROJECTION) load_coefficients(shortcut_coefficients + MEAN * channels + thread.channel, shortcut_mean);
        // Each row has up to five loads in flight, so that prefetching rows is not needed.
        for (int64_t row = first + thread.lane; row < end; row += thread.lanes) {
            const int64_t at = row * channels + thread.channel;
            float gradient[SIZE], other[SIZE], output[SIZE], value[SIZE], shortcut[SIZE];
            load(a + at, gradient);
            if (b) load(b + at, other);
            load(y + at, output);
            load(z + at, value);
            if (PROJECTION) load(shortcut_z + at, shortcut);
#pragma unroll
            for (int i = 0; i < SIZE; ++i) {
                const float sum = b ? gradient[i] + other[i] : gradient[i];
                // Rounded first, so that the sums are over the stored values.
                gradient[i] = output[i] > 0 ? rounded<T>(sum) : 0;
                own.values[0][i] += gradient[i];
                own.values[1][i] += gradient[i] * (value[i] - mean[i]);
                if (PROJECTION) own.values[2][i] += gradient[i] * (shortcut[i] - shortcut_mean[i]);
            }
            store(gradient, g + at);
        }
    }
    write_sums(thread, own, sums, channels);
}

#define JOIN_PARAMETERS(T)                                                                                             \
    (const T* a, const T* b, const T* y, const T* z, const float* coefficients, const T* shortcut_z,                   \
     const float* shortcut_coefficients, T* g, float* sums, int64_t rows, int channels, int64_t rows_per_chunk)
#define JOIN_ARGUMENTS                                                                                                 \
    (a, b, y, z, coefficients, shortcut_z, shortcut_coefficients, g, sums, rows, channels, rows_per_chunk)
template <typename T>
__device__ inline void residual_join_backward JOIN_PARAMETERS(T) {
    residual_join<T, false> JOIN_ARGUMENTS;
}
template <typename T>
__device__ inline void residual_join_backward_projection JOIN_PARAMETERS(T) {
    residual_join<T, true> JOIN_ARGUMENTS;
}
KERNEL(residual_join_backward, JOIN_PARAMETERS, JOIN_ARGUMENTS)
LARGE_KERNEL(residual_join_backward_projection, JOIN_PARAMETERS, JOIN_ARGUMENTS)

// Computes the factors of dz, and the gradients of weight and bias, from the partial sums of all chunks. `kind` is the
// index of the sum of g * (z - mean) among the partial sums.
extern "C" __global__ void __launch_bounds__(THREADS)
norm_backward_coefficients(const float* sums, float* coefficients, float* weight_gradient, float* bias_gradient,
                           int64_t rows, int channels, int chunks, int kind) {
    __shared__ double partial[2][THREADS];
    const int c = blockIdx.x * CHANNELS_PER_BLOCK + threadIdx.x % CHANNELS_PER_BLOCK;
    const int first_chunk = threadIdx.x / CHANNELS_PER_BLOCK;
    double sum = 0, product = 0;
    if (c < channels) {
        for (int chunk = first_chunk; chunk < chunks; chunk += THREADS_PER_CHANNEL) {
            const float* from = sums + chunk * (int64_t)PARTIAL_SUMS * channels + c;
            sum += from[0];
            product += from[(int64_t)kind * channels];
        }
    }
    partial[0][threadIdx.x] = sum;
    partial[1][threadIdx.x] = product;
    __syncthreads();
    if (c >= channels || first_chunk != 0) return;
    sum = product = 0;
    for (int i = 0; i < THREADS_PER_CHANNEL; ++i) {
        sum += partial[0][i * CHANNELS_PER_BLOCK + threadIdx.x];
        product += partial[1][i * CHANNELS_PER_BLOCK + threadIdx.x];
    }
    const double inverse_std = coefficients[INVERSE_STD * channels + c];
    const double scale = coefficients[SCALE * channels + c];
    const double d_weight = product * inverse_std;
    const double z_factor = -scale * inverse_std * d_weight / rows;
    coefficients[G_FACTOR * channels + c] = (float)scale;
    coefficients[Z_FACTOR * channels + c] = (float)z_factor;
    coefficients[OFFSET * channels + c] = (float)(-scale * sum / rows);
    weight_gradient[c] = (float)d_weight;
    bias_gradient[c] = (float)sum;
}
EXPORT(norm_backward_coefficients)

// Computes the factors of dz for running statistics, which do not depend on z.
extern "C" __global__ void __launch_bounds__(THREADS)
norm_backward_running_coefficients(float* coefficients, int channels) {
    const int c = blockIdx.x * THREADS + threadIdx.x;
    if (c >= channels) return;
    coefficients[G_FACTOR * channels + c] = coefficients[SCALE * channels + c];
    coefficients[Z_FACTOR * channels + c] = 0;
    coefficients[OFFSET * channels + c] = 0;
}
EXPORT(norm_backward_running_coefficients)

// Computes dz = g_factor * g + z_factor * (z - mean) + offset. If MASKED, g is the gradient of a ReLU's output, and the
// ReLU's mask is recomputed from z. `dz` may be `g`.
template <typename T, bool MASKED>
__device__ inline void norm_input_gradient(const T* g, const T* z, const float* coefficients, T* dz, int64_t rows,
                                           int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    constexpr int PREFETCH = 2;
    const ThreadPosition<T> thread(channels);
    if (!thread.active) return;
    float mean[SIZE], scale[SIZE], shift[SIZE], g_factor[SIZE], z_factor[SIZE], offset[SIZE];
    load_coefficients(coefficients + MEAN * channels + thread.channel, mean);
    if (MASKED) {
        load_coefficients(coefficients + SCALE * channels + thread.channel, scale);
        load_coefficients(coefficients + SHIFT * channels + thread.channel, shift);
    }
    load_coefficients(coefficients + G_FACTOR * channels + thread.channel, g_factor);
    load_coefficients(coefficients + Z_FACTOR * channels + thread.channel, z_factor);
    load_coefficients(coefficients + OFFSET * channels + thread.channel, offset);
    Pack<T> gs[PREFETCH], zs[PREFETCH];
    const auto fetch_row = [&](int k, int64_t at) {
        gs[k] = fetch(g + at);
        zs[k] = fetch(z + at);
    };
    const int64_t first = ((int64_t)blockIdx.x * thread.lanes + thread.lane) * channels + thread.channel;
    const int64_t step = (int64_t)gridDim.x * thread.lanes * channels;
    for_each_row<PREFETCH>(first, rows * channels, step, fetch_row, [&](int k, int64_t at) {
        float gradient[SIZE], value[SIZE];
        widen(gs[k], gradient);
        widen(zs[k], value);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            const bool is_zero = MASKED && !(scale[i] * value[i] + shift[i] > 0);
            const float masked = is_zero ? 0 : gradient[i];
            gradient[i] = g_factor[i] * masked + (z_factor[i] * (value[i] - mean[i]) + offset[i]);
        }
        store(gradient, dz + at);
    });
}

#define APPLY_PARAMETERS(T) (const T* g, const T* z, const float* coefficients, T* dz, int64_t rows, int channels)
#define APPLY_ARGUMENTS (g, z, coefficients, dz, rows, channels)
template <typename T>
__device__ inline void norm_backward_apply APPLY_PARAMETERS(T) {
    norm_input_gradient<T, false> APPLY_ARGUMENTS;
}
template <typename T>
__device__ inline void norm_backward_apply_masked APPLY_PARAMETERS(T) {
    norm_input_gradient<T, true> APPLY_ARGUMENTS;
}
KERNEL(norm_backward_apply, APPLY_PARAMETERS, APPLY_ARGUMENTS)
KERNEL(norm_backward_apply_masked, APPLY_PARAMETERS, APPLY_ARGUMENTS)
