// Converts bytes [images, height, width, 3] to the network's normalised input [images, height, width, 4]. The fourth
// channel is zero. With four channels, cuDNN reads a pixel in one aligned access.
#include "element.cuh"

constexpr int COLOURS = 3;
constexpr int INPUT_CHANNELS = 4;

template <typename T>
struct alignas(sizeof(T) * INPUT_CHANNELS) Pixel {
    T values[INPUT_CHANNELS];
};

// `table` is [3, 256], the normalised value of each byte per colour. Image i is mirrored if flips[i] is not zero.
// `flips` may be null. One thread per pixel.
template <typename T>
__device__ inline void normalise_pixels(const unsigned char* pixels, const float* table, const unsigned char* flips,
                                        T* to, int images, int height, int width) {
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * height * width) return;
    const int x = (int)(index % width);
    const int64_t row = index / width;
    const bool flip = flips && flips[row / height];
    const unsigned char* from = pixels + (row * width + (flip ? width - 1 - x : x)) * COLOURS;
    Pixel<T> pixel;
#pragma unroll
    for (int c = 0; c < COLOURS; ++c) narrow(table[c * 256 + from[c]], pixel.values[c]);
    narrow(0.0f, pixel.values[COLOURS]);
    reinterpret_cast<Pixel<T>*>(to)[index] = pixel;
}

#define NORMALISE_PARAMETERS(T)                                                                                        \
    (const unsigned char* pixels, const float* table, const unsigned char* flips, T* to, int images, int height,       \
     int width)
KERNEL(normalise_pixels, NORMALISE_PARAMETERS, (pixels, table, flips, to, images, height, width))
