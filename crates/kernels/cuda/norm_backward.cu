// Batch normalisation backward. With x̂ = (z - mean) * inverse and g the gradient of the normalised output after the
// ReLU's mask, dz = weight * inverse * (g - mean(g) - x̂ * mean(g x̂)), which is linear in g and z: first the sums of g
// and of g * (z - mean), then dz = of_gradient * g + of_output * (z - mean) + constant.
#include "norm.cuh"

template <int SIZE>
struct ChannelSums {
    float values[SUMS][SIZE] = {};
};

// Adds up what the threads of a block that share channels hold, and writes it as the unit's sums.
template <typename T>
__device__ inline void write_sums(const Place<T>& place, const ChannelSums<Pack<T>::SIZE>& own, float* sums,
                                  int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    __shared__ float partial[SUMS][THREADS][SIZE + 1];
#pragma unroll
    for (int kind = 0; kind < SUMS; ++kind) {
#pragma unroll
        for (int i = 0; i < SIZE; ++i) partial[kind][threadIdx.x][i] = own.values[kind][i];
    }
    __syncthreads();
    if (!place.active || place.lane != 0) return;
    for (int kind = 0; kind < SUMS; ++kind) {
        float* to = sums + (blockIdx.x * (int64_t)SUMS + kind) * channels + place.channel;
        for (int i = 0; i < SIZE; ++i) {
            float total = 0;
            for (int lane = 0; lane < place.lanes; ++lane) {
                total += partial[kind][lane * place.width + place.column][i];
            }
            to[i] = total;
        }
    }
}

// Sums for a batch norm that a ReLU follows: the mask is made again from z.
template <typename T>
__device__ inline void norm_backward_sums(const T* g, const T* z, const float* coefficients, float* sums, int64_t rows,
                                          int channels, int64_t rows_per_unit) {
    constexpr int SIZE = Pack<T>::SIZE;
    const Place<T> place(channels);
    const int64_t first = blockIdx.x * rows_per_unit;
    const int64_t end = first + rows_per_unit < rows ? first + rows_per_unit : rows;
    ChannelSums<SIZE> own;
    if (place.active) {
        float mean[SIZE], scale[SIZE], shift[SIZE];
        load_coefficients(coefficients + MEAN * channels + place.channel, mean);
        load_coefficients(coefficients + SCALE * channels + place.channel, scale);
        load_coefficients(coefficients + SHIFT * channels + place.channel, shift);
        constexpr int AHEAD = 2;
        Pack<T> gs[AHEAD], zs[AHEAD];
        const auto fetch_row = [&](int k, int64_t at) {
            gs[k] = fetch(g + at);
            zs[k] = fetch(z + at);
        };
        const int64_t at = (first + place.lane) * channels + place.channel;
        walk<AHEAD>(at, end * channels, place.lanes * (int64_t)channels, fetch_row, [&](int k, int64_t) {
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
    write_sums(place, own, sums, channels);
}

#define BACKWARD_SUMS(T)                                                                                               \
    (const T* g, const T* z, const float* coefficients, float* sums, int64_t rows, int channels, int64_t rows_per_unit)
KERNEL(norm_backward_sums, BACKWARD_SUMS, (g, z, coefficients, sums, rows, channels, rows_per_unit))

// Where blocks meet: g = (a + b) masked by the ReLU of the block's output y, written to `g` (which may be `a`), and the
// sums for the batch norm of z and, where the shortcut is a projection, for that of `shortcut_z`. `b` may be null.
template <typename T, bool PROJECTION>
__device__ inline void join(const T* a, const T* b, const T* y, const T* z, const float* coefficients,
                            const T* shortcut_z, const float* shortcut_coefficients, T* g, float* sums, int64_t rows,
                            int channels, int64_t rows_per_unit) {
    constexpr int SIZE = Pack<T>::SIZE;
    const Place<T> place(channels);
    const int64_t first = blockIdx.x * rows_per_unit;
    const int64_t end = first + rows_per_unit < rows ? first + rows_per_unit : rows;
    ChannelSums<SIZE> own;
    if (place.active) {
        float mean[SIZE], shortcut_mean[SIZE];
        load_coefficients(coefficients + MEAN * channels + place.channel, mean);
        if (PROJECTION) load_coefficients(shortcut_coefficients + MEAN * channels + place.channel, shortcut_mean);
        // Four or five loads at a time without reading ahead.
        for (int64_t row = first + place.lane; row < end; row += place.lanes) {
            const int64_t at = row * channels + place.channel;
            float gradient[SIZE], other[SIZE], output[SIZE], value[SIZE], shortcut[SIZE];
            load(a + at, gradient);
            if (b) load(b + at, other);
            load(y + at, output);
            load(z + at, value);
            if (PROJECTION) load(shortcut_z + at, shortcut);
#pragma unroll
            for (int i = 0; i < SIZE; ++i) {
                const float sum = b ? gradient[i] + other[i] : gradient[i];
                // Rounded before it is summed, so that the sums are those of what is stored.
                gradient[i] = output[i] > 0 ? rounded<T>(sum) : 0;
                own.values[0][i] += gradient[i];
                own.values[1][i] += gradient[i] * (value[i] - mean[i]);
                if (PROJECTION) own.values[2][i] += gradient[i] * (shortcut[i] - shortcut_mean[i]);
            }
            store(gradient, g + at);
        }
    }
    write_sums(place, own, sums, channels);
}

#define JOIN_BACKWARD(T)                                                                                               \
    (const T* a, const T* b, const T* y, const T* z, const float* coefficients, const T* shortcut_z,                   \
     const float* shortcut_coefficients, T* g, float* sums, int64_t rows, int channels, int64_t rows_per_unit)
#define JOINED (a, b, y, z, coefficients, shortcut_z, shortcut_coefficients, g, sums, rows, channels, rows_per_unit)
template <typename T>
__device__ inline void join_backward JOIN_BACKWARD(T) { join<T, false> JOINED; }
template <typename T>
__device__ inline void join_backward_projection JOIN_BACKWARD(T) { join<T, true> JOINED; }
KERNEL(join_backward, JOIN_BACKWARD, JOINED)
LARGE_KERNEL(join_backward_projection, JOIN_BACKWARD, JOINED)

// From the units' sums to the coefficients of dz and the gradients of weight and bias. `kind` says which of the sums is
// that of g * (z - mean).
extern "C" __global__ void __launch_bounds__(THREADS)
norm_differentiate(const float* sums, float* coefficients, float* weight_gradient, float* bias_gradient, int64_t rows,
                   int channels, int units, int kind) {
    __shared__ double partial[2][THREADS];
    const int c = blockIdx.x * CHANNELS_PER_BLOCK + threadIdx.x % CHANNELS_PER_BLOCK;
    const int sharer = threadIdx.x / CHANNELS_PER_BLOCK;
    double sum = 0, product = 0;
    if (c < channels) {
        for (int unit = sharer; unit < units; unit += SHARERS) {
            const float* from = sums + unit * (int64_t)SUMS * channels + c;
            sum += from[0];
            product += from[(int64_t)kind * channels];
        }
    }
    partial[0][threadIdx.x] = sum;
    partial[1][threadIdx.x] = product;
    __syncthreads();
    if (c >= channels || sharer != 0) return;
    sum = product = 0;
    for (int i = 0; i < SHARERS; ++i) {
        sum += partial[0][i * CHANNELS_PER_BLOCK + threadIdx.x];
        product += partial[1][i * CHANNELS_PER_BLOCK + threadIdx.x];
    }
    const double inverse = coefficients[INVERSE * channels + c];
    const double scale = coefficients[SCALE * channels + c];
    const double of_weight = product * inverse;
    const double of_output = -scale * inverse * of_weight / rows;
    coefficients[OF_GRADIENT * channels + c] = (float)scale;
    coefficients[OF_OUTPUT * channels + c] = (float)of_output;
    coefficients[CONSTANT * channels + c] = (float)(-scale * sum / rows);
    weight_gradient[c] = (float)of_weight;
    bias_gradient[c] = (float)sum;
}
EXPORT(norm_differentiate)

// The same where the statistics are the running ones, which do not depend on z.
extern "C" __global__ void __launch_bounds__(THREADS) norm_differentiate_running(float* coefficients, int channels) {
    const int c = blockIdx.x * THREADS + threadIdx.x;
    if (c >= channels) return;
    coefficients[OF_GRADIENT * channels + c] = coefficients[SCALE * channels + c];
    coefficients[OF_OUTPUT * channels + c] = 0;
    coefficients[CONSTANT * channels + c] = 0;
}
EXPORT(norm_differentiate_running)

// dz = of_gradient * g + of_output * (z - mean) + constant; where MASKED, g first goes through the ReLU's mask, made again
// from z. `dz` may be `g`.
template <typename T, bool MASKED>
__device__ inline void differentiate(const T* g, const T* z, const float* coefficients, T* dz, int64_t rows,
                                     int channels) {
    constexpr int SIZE = Pack<T>::SIZE;
    constexpr int AHEAD = 2;
    const Place<T> place(channels);
    if (!place.active) return;
    float mean[SIZE], scale[SIZE], shift[SIZE], of_gradient[SIZE], of_output[SIZE], constant[SIZE];
    load_coefficients(coefficients + MEAN * channels + place.channel, mean);
    if (MASKED) {
        load_coefficients(coefficients + SCALE * channels + place.channel, scale);
        load_coefficients(coefficients + SHIFT * channels + place.channel, shift);
    }
    load_coefficients(coefficients + OF_GRADIENT * channels + place.channel, of_gradient);
    load_coefficients(coefficients + OF_OUTPUT * channels + place.channel, of_output);
    load_coefficients(coefficients + CONSTANT * channels + place.channel, constant);
    Pack<T> gs[AHEAD], zs[AHEAD];
    const auto fetch_row = [&](int k, int64_t at) {
        gs[k] = fetch(g + at);
        zs[k] = fetch(z + at);
    };
    const int64_t first = ((int64_t)blockIdx.x * place.lanes + place.lane) * channels + place.channel;
    const int64_t step = (int64_t)gridDim.x * place.lanes * channels;
    walk<AHEAD>(first, rows * channels, step, fetch_row, [&](int k, int64_t at) {
        float gradient[SIZE], value[SIZE];
        widen(gs[k], gradient);
        widen(zs[k], value);
#pragma unroll
        for (int i = 0; i < SIZE; ++i) {
            const bool dropped = MASKED && !(scale[i] * value[i] + shift[i] > 0);
            const float kept = dropped ? 0 : gradient[i];
            gradient[i] = of_gradient[i] * kept + (of_output[i] * (value[i] - mean[i]) + constant[i]);
        }
        store(gradient, dz + at);
    });
}

#define BACKWARD_APPLY(T) (const T* g, const T* z, const float* coefficients, T* dz, int64_t rows, int channels)
#define BACKWARD_APPLIED (g, z, coefficients, dz, rows, channels)
template <typename T>
__device__ inline void norm_backward_apply BACKWARD_APPLY(T) { differentiate<T, false> BACKWARD_APPLIED; }
template <typename T>
__device__ inline void norm_backward_apply_masked BACKWARD_APPLY(T) { differentiate<T, true> BACKWARD_APPLIED; }
KERNEL(norm_backward_apply, BACKWARD_APPLY, BACKWARD_APPLIED)
KERNEL(norm_backward_apply_masked, BACKWARD_APPLY, BACKWARD_APPLIED)
