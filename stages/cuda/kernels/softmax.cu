// Softmax cross-entropy of a batch, and the sums that an epoch keeps of it.
// It must not know where logits come from.
#include "types.cuh"
#include "math.cuh"

// With the bits of nn::reference::layers::softmax_cross_entropy. Exponentials are computed anew
// where they are needed: a class list of any length then takes no memory.
extern "C" __global__ void softmax_loss(const float* logits, const uint8_t* labels, int n,
                                        int classes, float* losses, float* probabilities,
                                        float* gradient, uint8_t* predicted) {
    for (size_t image = first_index(); image < (size_t)n; image += index_step()) {
        const float* row = logits + image * classes;
        const int label = labels[image];
        float largest = row[0];
        for (int c = 1; c < classes; c++) largest = row[c] > largest ? row[c] : largest;
        float sum = 0.0f;
        for (int c = 0; c < classes; c++) sum += exponential(row[c] - largest);
        losses[image] = logarithm(sum) - (row[label] - largest);
        float best = 0.0f;
        int winner = 0;
        for (int c = 0; c < classes; c++) {
            const float p = exponential(row[c] - largest) / sum;
            if (c == 0 || p > best) {
                best = p;
                winner = c;
            }
            if (probabilities != nullptr) probabilities[image * classes + c] = p;
            if (gradient != nullptr) {
                gradient[image * classes + c] = (c == label ? p - 1.0f : p) / (float)n;
            }
        }
        predicted[image] = (uint8_t)winner;
    }
}

// Adds a batch to the sums: one block of 256 threads, each a stride of the images, then a tree.
extern "C" __global__ void tally(const float* losses, const uint8_t* predicted,
                                 const uint8_t* labels, int n, double* loss_sum,
                                 uint32_t* correct) {
    const int threads = 256;
    __shared__ double sums[threads];
    __shared__ uint32_t counts[threads];
    const int own = (int)threadIdx.x;
    double sum = 0.0;
    uint32_t count = 0;
    for (size_t i = own; i < (size_t)n; i += threads) {
        sum += losses[i];
        count += predicted[i] == labels[i];
    }
    sums[own] = sum;
    counts[own] = count;
    for (int half = threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (own < half) {
            sums[own] += sums[own + half];
            counts[own] += counts[own + half];
        }
    }
    if (own == 0) {
        loss_sum[0] += sums[0];
        correct[0] += counts[0];
    }
}
