#pragma once
// A fixed set of threads that share out numbered tasks. Which thread takes which task is left to
// chance, so results must not depend on it.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "failure.h"

class Threads {
  public:
    using Task = std::function<void(int task, int thread)>;

    // Throws std::system_error if the system does not start so many threads.
    explicit Threads(int n) : size(n) {
        prepare_to_throw();
        helpers.reserve(n);
        try {
            for (int thread = 1; thread < n; thread++)
                helpers.emplace_back([this, thread] { help(thread); });
        } catch (...) {
            end();
            throw;
        }
        while (started < n - 1) std::this_thread::yield();
    }

    ~Threads() { end(); }

    // Run task(0, ..) .. task(n - 1, ..), the caller's thread helping; returns when all are done.
    // If a task throws, those that have not begun are left out, and the first exception is thrown.
    void run(int n, const Task& new_task) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            task = &new_task;
            n_tasks = n;
            next = 0;
            busy = size - 1;
            failed = false;
            round++;
        }
        wake.notify_all();
        take_tasks(0);
        if (!spin_until([&] { return busy == 0; })) {
            std::unique_lock<std::mutex> lock(mutex);
            done.wait(lock, [&] { return busy == 0; });
        }
        if (failed) std::rethrow_exception(std::exchange(failure, nullptr));
    }

    // Whether a task of this run has thrown; those that wait for it must give up.
    bool has_failed() const { return failed; }

    const int size;

  private:
    // Whether a condition becomes true in less time than it takes to sleep and be woken. With 64
    // hidden neurons on two cores, a batch is 12 % faster for it.
    template <class Condition>
    static bool spin_until(const Condition& is_true) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
        while (!is_true())
            if (std::chrono::steady_clock::now() > end) return false;
        return true;
    }

    void take_tasks(int thread) {
        for (int i = next++; i < n_tasks && !failed; i = next++) {
            try {
                (*task)(i, thread);
            } catch (...) {
                std::lock_guard<std::mutex> lock(mutex);
                if (!failed) failure = std::current_exception();
                failed = true;
            }
        }
    }

    void help(int thread) {
        prepare_to_throw();
        started++;
        for (long seen = 0;;) {
            spin_until([&] { return ending || round != seen; });
            {
                std::unique_lock<std::mutex> lock(mutex);
                wake.wait(lock, [&] { return ending || round != seen; });
                if (ending) return;
                seen = round;
            }
            take_tasks(thread);
            std::lock_guard<std::mutex> lock(mutex);
            if (--busy == 0) done.notify_one();
        }
    }

    void end() {
        {
            std::lock_guard<std::mutex> lock(mutex);
            ending = true;
        }
        wake.notify_all();
        for (auto& helper : helpers) helper.join();
    }

    std::vector<std::thread> helpers;
    std::mutex mutex;
    std::condition_variable wake, done;
    const Task* task = nullptr;
    std::atomic<int> started{0};
    std::atomic<int> next{0};
    int n_tasks = 0;
    std::exception_ptr failure;
    std::atomic<bool> failed{false};
    std::atomic<int> busy{0};
    std::atomic<long> round{0};
    std::atomic<bool> ending{false};
};

// What a task throws that waits for another one that has failed.
struct Cancelled : std::exception {
    const char* what() const noexcept override { return "another task has failed"; }
};

// Lets the tasks of one call of Threads::run pass a number of places in the order of their numbers,
// whichever thread works on them. Every task passes every place once. Places are passed quickly, so
// a thread that waits does not sleep.
class Sequencer {
  public:
    void restart(int n_places, const Threads& of_tasks) {
        threads = &of_tasks;
        if (n_places > size) {
            next.reset(new std::atomic<int>[n_places]);
            size = n_places;
        }
        for (int i = 0; i < size; i++) next[i].store(0, std::memory_order_relaxed);
    }

    // body(), at a place, as soon as the task before has passed another place, `ahead`, which is
    // that place or a later one.
    template <class Body>
    void pass(int place, int task, int ahead, const Body& body) {
        for (int looks = 0; next[ahead] < task; looks++) {
            if (looks <= 100) continue;
            if (threads->has_failed()) throw Cancelled();
            std::this_thread::yield();  // there may be more threads than cores
        }
        body();
        next[place] = task + 1;
    }

  private:
    std::unique_ptr<std::atomic<int>[]> next;
    int size = 0;
    const Threads* threads = nullptr;
};
