#pragma once
// CUDA's execution model on a CPU, for tests. Every thread of a block is a fibre; blocks run one after
// another; fibres switch where CUDA's threads wait for each other: at barriers, votes and shuffles.
//
// Compile a .cu file as C++ with this header included first. The scheduler lies in on_cpu.cpp, which is
// never instrumented by a sanitizer. The environment variable ON_CPU_ORDER chooses the schedule:
// 0 ascending, 1 descending, any other number seeds a random one. Right kernels give the same bits under
// every schedule; a kernel that lacks a barrier does not.
//
// Precedents: NVIDIA's Warp (cooperative CPU blocks of fibres) and CERN's Allen (its CUDA kernels on CPUs).

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) int4 { int x, y, z, w; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace on_cpu {
const dim3& thread_index();
const dim3& block_index();
const dim3& block_size();
const dim3& grid_size();
int lane();
const uint32_t* exchange(uint32_t value);  // one value of every lane of the warp, when all have come
struct Votes { int count, any; };
Votes barrier(int predicate);
void* shared_memory();
void run(dim3 grid, dim3 size, size_t shared_bytes, void (*body)(const void*), const void* arguments);
}  // namespace on_cpu

#define threadIdx (on_cpu::thread_index())
#define blockIdx (on_cpu::block_index())
#define blockDim (on_cpu::block_size())
#define gridDim (on_cpu::grid_size())

// Shared memory of a block: filled with 0xff (not a number) before the block begins.
constexpr size_t ON_CPU_SHARED_BYTES = 48 * 1024;
#define SHARED(Type, name)                                                   \
    static_assert(sizeof(Type) <= ON_CPU_SHARED_BYTES, "48 KB is what every GPU has"); \
    Type& name = *static_cast<Type*>(on_cpu::shared_memory())

inline int __syncthreads_count(int p) { return on_cpu::barrier(p).count; }
inline int __syncthreads_or(int p) { return on_cpu::barrier(p).any; }
inline void __syncthreads() { on_cpu::barrier(0); }
inline void __syncwarp(uint32_t = ~0u) { on_cpu::exchange(0); }
inline uint32_t __ballot_sync(uint32_t, int p) {
    const uint32_t* const of_lane = on_cpu::exchange(p != 0);
    uint32_t mask = 0;
    for (int i = 0; i < 32; i++) mask |= of_lane[i] << i;
    return mask;
}
inline uint32_t __match_any_sync(uint32_t, int value) {
    const uint32_t* const of_lane = on_cpu::exchange(uint32_t(value));
    uint32_t mask = 0;
    for (int i = 0; i < 32; i++) mask |= uint32_t(of_lane[i] == uint32_t(value)) << i;
    return mask;
}
namespace on_cpu {
template <class T>
T of_other_lane(T value, int other) {
    static_assert(sizeof(T) == 4, "one register");
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const uint32_t* const of_lane = exchange(bits);
    std::memcpy(&value, &of_lane[other], 4);
    return value;
}
}  // namespace on_cpu
template <class T>
inline T __shfl_sync(uint32_t, T value, int lane) {
    return on_cpu::of_other_lane(value, lane);
}
template <class T>
inline T __shfl_xor_sync(uint32_t, T value, int bit) {
    return on_cpu::of_other_lane(value, on_cpu::lane() ^ bit);
}
template <class T>
inline T __shfl_up_sync(uint32_t, T value, int distance) {
    const int lane = on_cpu::lane();
    return on_cpu::of_other_lane(value, lane < distance ? lane : lane - distance);
}
inline unsigned __reduce_add_sync(uint32_t, unsigned value) {
    const uint32_t* const of_lane = on_cpu::exchange(value);
    unsigned total = 0;
    for (int i = 0; i < 32; i++) total += of_lane[i];
    return total;
}
inline float __int_as_float(int bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
inline int __ffs(uint32_t x) { return __builtin_ffs(int(x)); }
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline void __pipeline_memcpy_async(void* to, const void* from, size_t n) { std::memcpy(to, from, n); }
inline void __pipeline_commit() {}
inline void __pipeline_wait_prior(size_t) {}
template <class T>
inline T __ldg(const T* p) { return *p; }

// The part of CUDA's runtime that the engine uses. Everything is done at once, so streams mean nothing.
typedef int cudaError_t;
typedef int* cudaStream_t;
typedef double* cudaEvent_t;
enum { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorInsufficientDriver = 35 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum { cudaFuncAttributePreferredSharedMemoryCarveout, cudaDevAttrMaxSharedMemoryPerMultiprocessor };
namespace on_cpu {
cudaError_t allocate(void** p, size_t bytes);  // filled with 0xff, as nothing has been written yet
void deallocate(void* p);
double seconds();
}  // namespace on_cpu
inline cudaError_t cudaMalloc(void** p, size_t n) { return on_cpu::allocate(p, n); }
inline cudaError_t cudaMallocHost(void** p, size_t n) { return on_cpu::allocate(p, n); }
inline cudaError_t cudaFree(void* p) { on_cpu::deallocate(p); return cudaSuccess; }
inline cudaError_t cudaFreeHost(void* p) { on_cpu::deallocate(p); return cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, cudaMemcpyKind, cudaStream_t) {
    if (n) std::memcpy(to, from, n);
    return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* p, int value, size_t n, cudaStream_t) {
    if (n) std::memset(p, value, n);
    return cudaSuccess;
}
inline cudaError_t cudaStreamCreate(cudaStream_t* s) { *s = nullptr; return cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreate(cudaEvent_t* e) { *e = new double(0); return cudaSuccess; }
inline cudaError_t cudaEventDestroy(cudaEvent_t e) { delete e; return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) { *e = on_cpu::seconds(); return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t begin, cudaEvent_t end) {
    *ms = float(1e3 * (*end - *begin));
    return cudaSuccess;
}
template <class Kernel>
inline cudaError_t cudaFuncSetAttribute(Kernel, int, int) { return cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, int, int) { *value = 64 << 10; return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t e) { return e ? "out of memory" : "no error"; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    *free = *total = size_t(4) << 30;
    return cudaSuccess;
}
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 size, cudaStream_t, A... arguments) {
    const auto body = [&] { kernel(P(arguments)...); };
    const auto call = [](const void* p) { (*static_cast<decltype(body)*>(p))(); };
    on_cpu::run(grid, size, ON_CPU_SHARED_BYTES, call, &body);
}
