// The per-channel coefficients of one batch norm, `[COEFFICIENTS, channels]`, in this order (see norm.cu).
#pragma once

#include "element.cuh"

enum Coefficient {
    MEAN,        // of the convolution's output z
    INVERSE,     // 1 / sqrt(variance + epsilon)
    SCALE,       // forward: scale * z + shift
    SHIFT,
    OF_GRADIENT, // backward: dz = of_gradient * g + of_output * (z - mean) + constant
    OF_OUTPUT,
    CONSTANT,
};

// Kinds of per-channel sums that a unit of rows leaves, `[units, SUMS, channels]`.
constexpr int SUMS = 3;

// Threads that share a channel in the kernels which turn sums into coefficients.
constexpr int SHARERS = 32;
constexpr int CHANNELS_PER_BLOCK = THREADS / SHARERS;
