// Hair cells, nerve fibres and bushy cells of the cochlea (encode/cochlea.py), of as many places of the
// basilar membrane at a time as a vector has lanes. Places do not depend on each other, so results do
// not depend on how many that are.

#include <vector>

#include "failure.h"
#include "interface.h"
#include "simd.h"

typedef int32_t Integers __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t Unsigned __attribute__((vector_size(VECTOR_BYTES)));

// Meddis' transmitter pools, by explicit Euler steps. probability: that a fibre spikes in this step.
struct HairCells {
    double free[LANES], cleft[LANES], store[LANES];

    explicit HairCells(const Constants& k) {
        for (int i = 0; i < LANES; i++) {
            free[i] = k.rest_free;
            cleft[i] = k.rest_cleft;
            store[i] = k.rest_store;
        }
    }

    template <typename Visitor>
    void visit(Visitor each) {
        each(free);
        each(cleft);
        each(store);
    }

    void step(const Constants& k, Vector velocity, double* probability) {
        for (int i = 0; i < LANES; i++) {
            const double drive = velocity[i] + k.a;
            const double permeability = drive > 0 ? k.release * drive / (drive + k.b) : 0;
            const double replenished = free[i] < k.pool ? k.replenish * (k.pool - free[i]) : 0;
            const double ejected = permeability * free[i];
            const double gone = k.gone * cleft[i];
            const double taken = k.reuptake * cleft[i];
            const double reprocessed = k.reprocess * store[i];
            const double f = free[i] + replenished - ejected + reprocessed;
            const double c = cleft[i] + ejected - gone;
            const double s = store[i] + taken - reprocessed;
            free[i] = f > 0 ? f : 0;
            cleft[i] = c > 0 ? c : 0;
            store[i] = s > 0 ? s : 0;
            probability[i] = k.firing * cleft[i];
        }
    }
};

// A random number in [0, 1) for every seed, step and place. It has no state, so the order of calls
// does not matter.
inline Vector uniform(uint32_t seed, uint32_t step, Unsigned place) {
    Unsigned x = (seed ^ (step * 0x9E3779B9u)) ^ (place * 0x85EBCA6Bu);
    for (int round = 0; round < 2; round++) {  // a hash: every bit changes every other one
        x = (x ^ (x >> 16)) * 0x7FEB352Du;
        x = (x ^ (x >> 15)) * 0x846CA68Bu;
        x = (x ^ (x >> 16)) + seed;
    }
    return __builtin_convertvector(Integers(x >> 8), Vector) * (1.0f / (1 << 24));
}

// exp(-x) for 0 <= x <= 8: a short series and four squarings; relative error below 1e-5.
inline Vector exp_minus(Vector x) {
    const Vector t = x * (-1.0f / 16);
    Vector y = 1 + t * (1 + t * (1.0f / 2 + t * (1.0f / 6 + t * (1.0f / 24 + t * (1.0f / 120)))));
    y *= y;
    y *= y;
    y *= y;
    return y * y;
}

// The fibres of a place are all the same: how many fire is binomial among those not in dead time.
struct Fibres {
    struct Count {
        Vector of_places;
    };
    std::vector<Count> fired;  // ring: how many fired in each of the last steps
    Vector ready;
    Unsigned place;
    int most;

    Fibres(const Constants& k, int first_place)
        : fired(int(k.dead_steps)), ready(broadcast(float(k.n_fibres))), most(int(k.n_fibres)) {
        for (int i = 0; i < LANES; i++) place[i] = first_place + i;
    }

    template <typename Visitor>
    void visit(Visitor each) {
        each(ready);
        for (Count& count : fired) each(count.of_places);
    }

    // How many fire in each place in this step, given the probability of each fibre.
    Vector step(uint32_t seed, int step, Vector p) {
        Vector& slot = fired[step % fired.size()].of_places;
        ready += slot;
        const Vector odds = p / (1 - p);
        // -log(1 - p), to 2e-6 at p = 0.1; loud onsets stay below that
        const Vector rate = p * (1 + p * (1.0f / 2 + p * (1.0f / 3 + p * (1.0f / 4))));
        // invert the distribution, for all places until the last one has found its number
        Vector above = uniform(seed, step, place), mass = exp_minus(ready * rate), count = {};
        above -= mass;
        for (int k = 0; k < most && at_least(above, 0); k++) {
            mass *= (ready - float(k)) * odds * (1.0f / (k + 1));
            count += above >= 0 ? broadcast(1) : Vector{};
            above -= mass;
        }
        ready -= count;
        slot = count;
        return count;
    }
};

// One leaky integrate-and-fire cell a place. It spikes in the step where v reaches 1. From the next
// step on, v is held at 0 for the refractory time, while the current goes on decaying.
struct BushyCells {
    Vector v = {}, current = {}, wait = {};

    template <typename Visitor>
    void visit(Visitor each) {
        each(v);
        each(current);
        each(wait);
    }

    uint64_t step(const Constants& k, Vector count) {  // one bit a spike
        current = current * float(k.decay_syn) + count;
        wait = v >= 1 ? broadcast(float(k.refractory_steps)) : wait;
        const Vector charged = v * float(k.decay_mem) + float(k.weight) * current;
        v = wait > 0 ? Vector{} : charged;
        wait -= 1;
        return at_least(v, 1);
    }
};

// The cells of as many places as a vector has lanes.
struct Cells {
    HairCells hair_cells;
    Fibres fibres;
    BushyCells bushy_cells;

    Cells(const Constants& k, int first_place) : hair_cells(k), fibres(k, first_place) {}

    // Calls each(number of the variable, variable) for all variables; see numbers_of_state.
    template <typename Visitor>
    void visit(Visitor each) {
        int number = 0;
        auto next = [&](auto& variable) { each(number++, variable); };
        hair_cells.visit(next);
        fibres.visit(next);
        bushy_cells.visit(next);
    }
};

// How many numbers describe a place: free, cleft, store; ready fibres and those that fired in each of
// the last steps; v, current, wait.
inline int numbers_of_state(const Constants& k) { return 3 + 1 + int(k.dead_steps) + 3; }

// Spikes of all places; returns how many there are.
inline int fire(const FireArguments& a) {
    const Constants& k = *a.constants;
    const int numbers = numbers_of_state(k);
    int count = 0;
    for (int first = 0; first < a.n_places; first += LANES) {
        const int n = a.n_places - first < LANES ? a.n_places - first : LANES;
        Cells cells(k, a.first_place + first);
        double* const state = a.state ? a.state + int64_t(first) * numbers : nullptr;
        if (state && a.first_step > 0)
            cells.visit([&](int j, auto& variable) {
                for (int i = 0; i < n; i++) variable[i] = state[i * numbers + j];
            });
        Vector v[LANES] = {};  // [step][place]: velocities lie the other way round
        for (int step = 0; step < a.n_steps; step++) {
            if (step % LANES == 0)
                for (int i = 0; i < n; i++)
                    for (int s = 0; s < LANES && step + s < a.n_steps; s++)
                        v[s][i] = a.velocity[int64_t(first + i) * a.stride + step + s];
            double p[LANES];
            cells.hair_cells.step(k, v[step % LANES], p);
            if (a.probability) {
                for (int i = 0; i < n; i++)
                    a.probability[int64_t(first + i) * a.stride + step] = p[i];
                continue;
            }
            Vector single;
            for (int i = 0; i < LANES; i++) single[i] = float(p[i]);
            const int now = a.first_step + step;
            uint64_t spikes = cells.bushy_cells.step(k, cells.fibres.step(a.seed, now, single));
            for (; spikes; spikes &= spikes - 1) {
                const int i = __builtin_ctzll(spikes);
                if (i >= n) break;
                a.steps[count] = now;
                a.places[count++] = a.first_place + first + i;
            }
        }
        if (state)
            cells.visit([&](int j, auto& variable) {
                for (int i = 0; i < n; i++) state[i * numbers + j] = variable[i];
            });
    }
    return count;
}

// Returns the number of spikes; 0 if it fails.
extern "C" int32_t cochlea_fire(const FireArguments* arguments, Failure* failure) {
    int count = 0;
    guarded(*failure, [&] {
        const FireArguments& a = *arguments;
        refuse_unless(a.velocity && a.constants && a.steps && a.places, "a pointer is null");
        refuse_unless(a.n_places >= 0 && a.n_steps >= 0 && a.stride >= a.n_steps,
                      "there are fewer velocities than steps");
        // at most one spike a place and step
        refuse_unless(a.capacity >= int64_t(a.n_places) * a.n_steps && a.capacity <= INT32_MAX,
                      "there is too little room for spikes");
        refuse_unless(a.constants->dead_steps >= 1, "fibres have no dead time");
        refuse_unless(a.first_step >= 0 && a.first_step <= INT32_MAX - a.n_steps,
                      "there are more steps than can be counted");
        refuse_unless(a.state || a.first_step == 0, "there is no state to go on from");
        refuse_unless(!a.state || a.state_numbers == numbers_of_state(*a.constants),
                      "the state has another size");
        count = fire(a);
    });
    return count;
}
