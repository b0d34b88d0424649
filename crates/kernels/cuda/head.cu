// The classifier in f32: a linear layer and the softmax cross-entropy.
#include "element.cuh"

// Computes logits[image, class] = dot(features[image], weight[class]) + bias[class]. One block per logit.
extern "C" __global__ void __launch_bounds__(THREADS)
linear(const float* features, const float* weight, const float* bias, float* logits, int inputs) {
    __shared__ float shared[THREADS];
    const int64_t image = blockIdx.x;
    const int label = blockIdx.y, classes = gridDim.y;
    float sum = 0;
    for (int i = threadIdx.x; i < inputs; i += THREADS) {
        sum += features[image * inputs + i] * weight[label * inputs + i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) logits[image * classes + label] = sum + bias[label];
}
EXPORT(linear)

// Computes the mean softmax cross-entropy in nats, and its gradient (softmax - one_hot) / images. One block.
extern "C" __global__ void __launch_bounds__(THREADS)
cross_entropy(const float* logits, const unsigned char* labels, float* gradient, float* loss, int images, int classes) {
    __shared__ double shared[THREADS];
    double thread_sum = 0;
    for (int image = threadIdx.x; image < images; image += THREADS) {
        const float* row = logits + (int64_t)image * classes;
        // Subtract the highest logit, so that no exponential overflows.
        float highest = row[0];
        for (int c = 1; c < classes; ++c) highest = row[c] > highest ? row[c] : highest;
        double total = 0;
        for (int c = 0; c < classes; ++c) total += exp((double)row[c] - highest);
        thread_sum += log(total) - ((double)row[labels[image]] - highest);
        for (int c = 0; c < classes; ++c) {
            const double target = c == labels[image] ? 1 : 0;
            gradient[(int64_t)image * classes + c] = (float)((exp((double)row[c] - highest) / total - target) / images);
        }
    }
    const double sum = block_sum(thread_sum, shared);
    if (threadIdx.x == 0) *loss = (float)(sum / images);
}
EXPORT(cross_entropy)

// Writes the gradient that Grad-CAM starts from: 1 for the logit of target_classes[image], 0 for the others.
extern "C" __global__ void __launch_bounds__(THREADS)
one_hot(const unsigned char* target_classes, float* gradient, int images, int classes) {
    const int index = blockIdx.x * THREADS + threadIdx.x;
    if (index < images * classes) gradient[index] = index % classes == target_classes[index / classes] ? 1 : 0;
}
EXPORT(one_hot)

// Computes the gradients of weight and bias. One thread per element of [classes, inputs + 1], where the last column is
// the bias.
extern "C" __global__ void __launch_bounds__(THREADS)
linear_backward_weights(const float* features, const float* logits_gradient, float* weight_gradient,
                        float* bias_gradient, int images, int classes, int inputs) {
    const int index = blockIdx.x * THREADS + threadIdx.x;
    if (index >= classes * (inputs + 1)) return;
    const int label = index / (inputs + 1), input = index % (inputs + 1);
    float sum = 0;
    for (int image = 0; image < images; ++image) {
        const float g = logits_gradient[(int64_t)image * classes + label];
        sum += input < inputs ? g * features[(int64_t)image * inputs + input] : g;
    }
    if (input < inputs) {
        weight_gradient[label * inputs + input] = sum;
    } else {
        bias_gradient[label] = sum;
    }
}
EXPORT(linear_backward_weights)

// Computes the gradient of the features [images, inputs]. One thread per element.
extern "C" __global__ void __launch_bounds__(THREADS)
linear_backward_features(const float* logits_gradient, const float* weight, float* features_gradient, int images,
                         int classes, int inputs) {
    const int64_t index = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= (int64_t)images * inputs) return;
    const int64_t image = index / inputs;
    float sum = 0;
    for (int c = 0; c < classes; ++c) sum += logits_gradient[image * classes + c] * weight[c * inputs + index % inputs];
    features_gradient[index] = sum;
}
EXPORT(linear_backward_features)
