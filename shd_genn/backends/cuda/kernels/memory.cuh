#pragma once
// Errors, memory and time on the host's side.

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

inline void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

inline thread_local std::string last_error;

// body(), whose exceptions become a number and a message: no exception leaves an extern "C" function.
template <class Body>
int guarded(const Body& body) {
    try {
        body();
        return 0;
    } catch (const std::exception& error) {
        last_error = error.what();
    } catch (...) {
        last_error = "unknown error";
    }
    return 1;
}

// Bytes of the arrays on the GPU, and the most that there have been.
struct Tally {
    size_t now = 0, most = 0;

    void add(size_t bytes) {
        now += bytes;
        most = std::max(most, now);
    }
};

// An array on the GPU, or in the host's memory where the GPU can read it at full speed; it grows when it is too small.
template <class T, bool ON_HOST = false>
class Buffer {
  public:
    explicit Buffer(Tally& tally_) : tally(tally_) {}
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { release(); }

    T* get() const { return data; }
    size_t bytes() const { return size * sizeof(T); }

    void reserve(size_t n, const char* what) {
        if (n <= size) return;
        release();
        void* p = nullptr;
        const cudaError_t error = ON_HOST ? cudaMallocHost(&p, n * sizeof(T)) : cudaMalloc(&p, n * sizeof(T));
        if (error != cudaSuccess) {
            (void)cudaGetLastError();
            throw std::runtime_error("CUDA: " + std::to_string(n * sizeof(T) >> 20) + " MB for " + what + ": " +
                                     cudaGetErrorString(error));
        }
        data = static_cast<T*>(p);
        size = n;
        tally.add(bytes());
    }

  private:
    void release() {
        if (data) (void)(ON_HOST ? cudaFreeHost(data) : cudaFree(data));
        tally.now -= bytes();
        data = nullptr;
        size = 0;
    }
    Tally& tally;
    T* data = nullptr;
    size_t size = 0;
};

template <class T>
using Pinned = Buffer<T, true>;

enum Stage { INPUT_SPIKES, GATHER, FORWARD, LOSS, ADJOINT, GRADIENT, OPTIMISER, STAGES };

// How long the GPU works on each stage, if anyone wants to know: it then waits after every stage.
class Clock {
  public:
    explicit Clock(bool on_) : on(on_) {
        if (!on) return;
        check(cudaEventCreate(&begin), "event");
        check(cudaEventCreate(&end), "event");
    }
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    ~Clock() {
        if (!on) return;
        (void)cudaEventDestroy(begin);
        (void)cudaEventDestroy(end);
    }

    template <class Body>
    void time(Stage stage, cudaStream_t stream, const Body& body) {
        if (on) check(cudaEventRecord(begin, stream), "event");
        body();
        check(cudaGetLastError(), "kernel launch");
        if (!on) return;
        check(cudaEventRecord(end, stream), "event");
        check(cudaEventSynchronize(end), "kernel");
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin, end), "event");
        seconds[stage] += 1e-3 * double(ms);
    }

    double seconds[STAGES] = {};

  private:
    bool on;
    cudaEvent_t begin{}, end{};
};
