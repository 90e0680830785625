// Finds numbers that are not finite, without a round trip to the host.
// It must not know what the numbers are.
#include "types.cuh"

// All threads that write write the same, so it does not matter which is last.
extern "C" __global__ void check_finite(const float* x, int len, int place, const int* cursor,
                                        int* stop, int* found) {
    for (size_t i = first_index(); i < (size_t)len; i += index_step()) {
        // Infinities and NaNs have all bits of the exponent.
        if ((__float_as_uint(x[i]) & 0x7f800000u) == 0x7f800000u) {
            found[place] = 1;
            if (*stop == 0) *stop = *cursor + 1;
        }
    }
}
