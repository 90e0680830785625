// The kernels, compiled for the CPU, by name; and the call that launches one.
// It must not know Rust.
#include <mutex>
#include <string_view>
#include <tuple>
#include "device.hpp"
#include "block.hpp"

#include "../../cuda/kernels/adam.cu"
#include "../../cuda/kernels/conv.cu"
#include "../../cuda/kernels/finite.cu"
#include "../../cuda/kernels/norm.cu"
#include "../../cuda/kernels/norm_gradient.cu"
#include "../../cuda/kernels/pool.cu"
#include "../../cuda/kernels/prepare.cu"
#include "../../cuda/kernels/reduce.cu"
#include "../../cuda/kernels/softmax.cu"
#include "checks.cu"

namespace {

// In the order of the error's variants in src/lib.rs.
enum Outcome {
    Launched,
    UnknownKernel,
    BadBlock,
    BadGrid,
    BadArguments,
    Diverged,
    NoFibres,
    NoMemory,
};

enum class Threads { Plain, Fibres };

struct Launch {
    Index grid, block;
    bool backward;
};

Outcome run(const Launch& launch, Threads threads, const std::function<void()>& body) {
    static thread_local shim::Block block;
    gridDim = launch.grid;
    blockDim = launch.block;
    if (threads == Threads::Fibres) {
        block.prepare(launch.block.x * launch.block.y * launch.block.z, body);
    }
    const Index grid = launch.grid;
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    for (uint64_t n = 0; n < blocks; n++) {
        const uint64_t i = launch.backward ? blocks - 1 - n : n;
        blockIdx = {(unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y),
                    (unsigned)(i / grid.x / grid.y)};
        const shim::Fault fault = threads == Threads::Fibres
                                      ? block.run(launch.backward)
                                      : shim::run_plainly(body, launch.backward);
        if (fault == shim::Fault::Divergence) return Diverged;
        if (fault == shim::Fault::NoFibres) return NoFibres;
    }
    return Launched;
}

// Calls the kernel with copies of what `args` point to.
template <class... Args>
Outcome call(void (*kernel)(Args...), Threads threads, const Launch& launch, void* const* args,
             size_t count) {
    if (count != sizeof...(Args)) return BadArguments;
    for (size_t i = 0; i < count; i++) {
        if (args[i] == nullptr) return BadArguments;
    }
    std::tuple<Args...> values;
    size_t i = 0;
    std::apply([&](auto&... value) { (std::memcpy((void*)&value, args[i++], sizeof value), ...); },
               values);
    return run(launch, threads, [&] { std::apply(kernel, values); });
}

struct Kernel {
    std::string_view name;
    Outcome (*launch)(const Launch&, void* const*, size_t);
};

#define KERNEL(name, threads)                                              \
    {#name, [](const Launch& launch, void* const* args, size_t count) {    \
         return call(name, Threads::threads, launch, args, count);         \
     }}

const Kernel KERNELS[] = {
    KERNEL(adam_update, Plain),
    KERNEL(advance, Plain),
    KERNEL(average_pool, Plain),
    KERNEL(average_pool_gradient, Plain),
    KERNEL(check_finite, Plain),
    KERNEL(column_sums, Fibres),
    KERNEL(conv_forward_bf16, Fibres),
    KERNEL(conv_forward_f32, Fibres),
    KERNEL(conv_forward_tf32, Fibres),
    KERNEL(conv_input_gradient_bf16, Fibres),
    KERNEL(conv_input_gradient_f32, Fibres),
    KERNEL(conv_input_gradient_tf32, Fibres),
    KERNEL(conv_weight_gradient_bf16, Fibres),
    KERNEL(conv_weight_gradient_f32, Fibres),
    KERNEL(conv_weight_gradient_tf32, Fibres),
    KERNEL(inverse_deviation, Plain),
    KERNEL(max_pool, Plain),
    KERNEL(max_pool_gradient, Plain),
    KERNEL(norm_apply, Plain),
    KERNEL(norm_finish, Plain),
    KERNEL(norm_gradient_apply, Plain),
    KERNEL(norm_gradient_finish, Plain),
    KERNEL(norm_gradient_partial, Fibres),
    KERNEL(norm_partial, Fibres),
    KERNEL(prepare_images, Plain),
    KERNEL(prepare_labels, Plain),
    KERNEL(softmax_loss, Plain),
    KERNEL(sum_chunks, Plain),
    KERNEL(tally, Fibres),
    KERNEL(update_moving, Plain),
    KERNEL(faulty_barrier, Fibres),
    KERNEL(faulty_barriers, Fibres),
    KERNEL(faulty_barrier_without_fibres, Plain),
    KERNEL(faulty_product, Fibres),
    KERNEL(faulty_shared, Plain),
    KERNEL(functions, Plain),
    KERNEL(indices, Plain),
    KERNEL(quotients, Plain),
    KERNEL(rotate, Fibres),
};

Outcome launch_by_name(std::string_view name, const Launch& launch, void* const* args,
                       size_t count) {
    for (const Kernel& kernel : KERNELS) {
        if (kernel.name == name) return kernel.launch(launch, args, count);
    }
    return UnknownKernel;
}

}  // namespace

// The number of an `Outcome`.
extern "C" int cuda_shim_launch(const char* name, size_t name_len, const uint32_t* grid,
                                const uint32_t* block, bool backward, void* const* args,
                                size_t count) {
    // What CUDA allows a grid and a block.
    for (int i = 0; i < 3; i++) {
        if (block[i] == 0 || block[i] > 1024) return BadBlock;
        if (grid[i] == 0 || grid[i] > (i == 0 ? 0x7fffffffu : 0xffffu)) return BadGrid;
    }
    if (block[2] > 64 || (uint64_t)block[0] * block[1] * block[2] > 1024) return BadBlock;
#ifdef SHIM_SANITIZE
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> lock(one_at_a_time);
#endif
    const Launch launch = {{grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, backward};
    try {
        return launch_by_name({name, name_len}, launch, args, count);
    } catch (const std::bad_alloc&) {
        return NoMemory;
    }
}
