#pragma once
// What the kernels share: lists of types, a thread's neighbouring numbers, sums over a warp.

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#include <cuda_pipeline_primitives.h>

// Shared memory of a block; tests run the kernels on a CPU with another definition.
#define SHARED(Type, name) __shared__ Type name

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t stream, A... arguments) {
    kernel<<<grid, block, 0, stream>>>(P(arguments)...);
}
#endif

constexpr uint32_t ALL = ~0u;  // all lanes of a warp

// body(T{}) for every type of a list, written out by the compiler.
template <class... T>
struct Types {};

template <class Body, class... T>
__device__ __forceinline__ void for_each(Types<T...>, const Body& body) {
    (body(T{}), ...);
}

template <class Body, class... T>
inline void for_each_on_host(Types<T...>, const Body& body) {
    (body(T{}), ...);
}

// N numbers that lie side by side; N is 1, 2 or 4, and the address a multiple of their size.
template <int N>
__device__ __forceinline__ void load(const float* from, float (&to)[N]) {
    if constexpr (N == 4) {
        const float4 q = *reinterpret_cast<const float4*>(from);
        to[0] = q.x, to[1] = q.y, to[2] = q.z, to[3] = q.w;
    } else if constexpr (N == 2) {
        const float2 q = *reinterpret_cast<const float2*>(from);
        to[0] = q.x, to[1] = q.y;
    } else {
        to[0] = *from;
    }
}

// The same, of memory that the kernel does not write.
template <int N>
__device__ __forceinline__ void load_constant(const float* from, float (&to)[N]) {
    if constexpr (N == 4) {
        const float4 q = __ldg(reinterpret_cast<const float4*>(from));
        to[0] = q.x, to[1] = q.y, to[2] = q.z, to[3] = q.w;
    } else if constexpr (N == 2) {
        const float2 q = __ldg(reinterpret_cast<const float2*>(from));
        to[0] = q.x, to[1] = q.y;
    } else {
        to[0] = __ldg(from);
    }
}

template <int N>
__device__ __forceinline__ void store(float* to, const float (&from)[N]) {
    if constexpr (N == 4) {
        *reinterpret_cast<float4*>(to) = float4{from[0], from[1], from[2], from[3]};
    } else if constexpr (N == 2) {
        *reinterpret_cast<float2*>(to) = float2{from[0], from[1]};
    } else {
        *to = from[0];
    }
}

// The sum over a warp, known to all of its lanes.
__device__ __forceinline__ int warp_sum(int n) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    for (int bit = 16; bit; bit /= 2) n += __shfl_xor_sync(ALL, n, bit);
    return n;
#else
    return int(__reduce_add_sync(ALL, unsigned(n)));
#endif
}

// The sum over a warp's lanes up to this one.
__device__ __forceinline__ int warp_scan(int n, int lane) {
    for (int distance = 1; distance < 32; distance *= 2) {
        const int before = __shfl_up_sync(ALL, n, distance);
        if (lane >= distance) n += before;
    }
    return n;
}

// N sums of floats over a warp, added in a fixed order and known to all of its lanes.
template <int N>
__device__ __forceinline__ void warp_sums(float (&x)[N]) {
    for (int bit = 16; bit; bit /= 2)
        for (int i = 0; i < N; i++) x[i] += __shfl_xor_sync(ALL, x[i], bit);
}

// Delays as they are used: rounded to whole steps, halves up. Exact, as floor(delay + 0.5) is not.
__device__ __forceinline__ int whole_steps(float delay) {
    const int below = int(delay);
    return below + (delay - float(below) >= 0.5f);
}
