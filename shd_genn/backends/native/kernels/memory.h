#pragma once
// Arrays that begin on cache lines.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "failure.h"

struct FreeDeleter {
    void operator()(float* p) const { std::free(p); }
};
using Array = std::unique_ptr<float, FreeDeleter>;

// n zeros; throws OutOfMemory.
inline Array make_array(int64_t n) {
    const size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
    Array array(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!array) throw OutOfMemory(int64_t(bytes));
    std::memset(array.get(), 0, bytes);
    return array;
}

inline void clear(const Array& array, int64_t n) { std::memset(array.get(), 0, n * sizeof(float)); }
