// The coefficients and partial sums of batch norm, and the constants of the kernels that compute them.
#pragma once

#include "element.cuh"

// Per-channel coefficients of one batch norm, [NORM_COEFFICIENTS, channels] in this order. z is the norm's input, which
// is the output of a convolution. g is the gradient of the norm's output.
enum Coefficient {
    MEAN,        // of z
    INVERSE_STD, // 1 / sqrt(variance + epsilon)
    SCALE,       // forward: scale * z + shift
    SHIFT,
    G_FACTOR, // backward: dz = g_factor * g + z_factor * (z - mean) + offset
    Z_FACTOR,
    OFFSET,
};

// Partial sums per channel of a row chunk, [chunks, PARTIAL_SUMS, channels].
constexpr int PARTIAL_SUMS = 3;

// Threads per channel in the kernels that turn partial sums into coefficients. Each adds every 32nd chunk.
constexpr int THREADS_PER_CHANNEL = 32;
constexpr int CHANNELS_PER_BLOCK = THREADS / THREADS_PER_CHANNEL;
