// Hair cells, nerve fibres and bushy cells of as many places at a time as a vector has lanes.
// Places know nothing of each other, so results do not depend on how many that are.

#include "simd.h"

#include <vector>

typedef int32_t Integers __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t Unsigned __attribute__((vector_size(VECTOR_BYTES)));

struct Constants {  // rates are per step
    double replenish, release, gone, reuptake, reprocess, a, b, pool, firing;
    double rest_free, rest_cleft, rest_store;
    double n_fibres, dead_steps, decay_mem, decay_syn, refractory_steps, weight;
};

// Meddis' transmitter pools, explicit Euler; probability: of a fibre's spike in this step.
struct HairCells {
    double free[LANES], cleft[LANES], store[LANES];

    explicit HairCells(const Constants& k) {
        for (int i = 0; i < LANES; i++) {
            free[i] = k.rest_free;
            cleft[i] = k.rest_cleft;
            store[i] = k.rest_store;
        }
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

// A number in [0, 1) for every seed, step and place: no state, so no order of calls.
inline Vector uniform(uint32_t seed, uint32_t step, Unsigned place) {
    Unsigned x = (seed ^ (step * 0x9E3779B9u)) ^ (place * 0x85EBCA6Bu);
    for (int round = 0; round < 2; round++) {  // a hash in which every bit moves every other
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

// Fibres of a place are alike: the number that fire is binomial among those not in dead time.
struct Fibres {
    std::vector<Vector> fired;  // ring: how many fired so many steps ago
    Vector ready;
    Unsigned place;
    int most;

    Fibres(const Constants& k, int first_place)
        : fired(int(k.dead_steps)), ready(Vector{} + float(k.n_fibres)), most(int(k.n_fibres)) {
        for (int i = 0; i < LANES; i++) place[i] = first_place + i;
    }

    // Every place's number in this step, given the probability of each fibre.
    Vector step(uint32_t seed, int step, Vector p) {
        Vector& slot = fired[step % fired.size()];
        ready += slot;
        const Vector odds = p / (1 - p);
        // -log(1 - p), to 2e-6 at p = 0.1, which loud onsets do not reach
        const Vector rate = p * (1 + p * (1.0f / 2 + p * (1.0f / 3 + p * (1.0f / 4))));
        // invert the distribution, all places at once until the last has found its number
        Vector above = uniform(seed, step, place), mass = exp_minus(ready * rate), count = {};
        above -= mass;
        for (int k = 0; k < most && at_least(above, 0); k++) {
            mass *= (ready - float(k)) * odds * (1.0f / (k + 1));
            count += above >= 0 ? Vector{} + 1 : Vector{};
            above -= mass;
        }
        ready -= count;
        slot = count;
        return count;
    }
};

// One leaky integrate-and-fire cell a place. A spike is stamped where v reaches 1; from the next
// step on v is held at 0 for the refractory time, while the current goes on decaying.
struct BushyCells {
    Vector v = {}, current = {}, wait = {};

    uint64_t step(const Constants& k, Vector count) {  // one bit a spike
        current = current * float(k.decay_syn) + count;
        wait = v >= 1 ? Vector{} + float(k.refractory_steps) : wait;
        const Vector charged = v * float(k.decay_mem) + float(k.weight) * current;
        v = wait > 0 ? Vector{} : charged;
        wait -= 1;
        return at_least(v, 1);
    }
};

extern "C" {

// Spikes of n_places, whose velocities lie `stride` apart; returns how many were written.
// probability: [place][stride] or null.
int cochlea_fire(const float* velocity, int n_places, int n_steps, int stride,
                 const Constants* constants, uint32_t seed, int first_place, int32_t* steps,
                 int32_t* places, double* probability) {
    const Constants k = *constants;
    int count = 0;
    for (int first = 0; first < n_places; first += LANES) {
        const int n = n_places - first < LANES ? n_places - first : LANES;
        HairCells hair_cells(k);
        Fibres fibres(k, first_place + first);
        BushyCells bushy_cells;
        Vector v[LANES] = {};  // [step][place]: velocities lie the other way round
        for (int step = 0; step < n_steps; step++) {
            if (step % LANES == 0)
                for (int i = 0; i < n; i++)
                    for (int s = 0; s < LANES && step + s < n_steps; s++)
                        v[s][i] = velocity[int64_t(first + i) * stride + step + s];
            double p[LANES];
            hair_cells.step(k, v[step % LANES], p);
            if (probability) {
                for (int i = 0; i < n; i++) probability[int64_t(first + i) * stride + step] = p[i];
                continue;
            }
            Vector single;
            for (int i = 0; i < LANES; i++) single[i] = float(p[i]);
            uint64_t spikes = bushy_cells.step(k, fibres.step(seed, step, single));
            for (; spikes; spikes &= spikes - 1) {
                const int i = __builtin_ctzll(spikes);
                if (i >= n) break;
                steps[count] = step;
                places[count++] = first_place + first + i;
            }
        }
    }
    return count;
}

}  // extern "C"
