#pragma once
/* A filter bank that makes spikes of sound (encode/filter_bank.py), sample by sample, in whole numbers.
 *
 * C99 and C++: the same text runs in python -m shd_genn.encode and on microcontrollers, so that both give
 * the same spikes. There is no state but what the caller owns. Sound has 16 bits and 16000 samples a second.
 */
#include <stdint.h>

#define FILTER_SAMPLES_OF_A_TICK 16 /* a tick is 1 ms */

/* A resonator y = gain (x - x'') + a1 y' + a2 y''; numbers have 29 bits behind the point. */
typedef struct {
    int32_t gain, a1, a2;
} filter_band_t;

/* One channel: two equal resonators in a row, the envelope of their output, an integrate-and-fire neuron.
 * Sound has 10 bits behind the point. */
typedef struct {
    int32_t y1, y2, z1, z2; /* the last two outputs of each resonator */
    int32_t sum, envelope, charge;
} filter_channel_t;

/* Levels are logarithms to the base 2 of envelopes, with 16 bits behind the point. */
typedef struct {
    int32_t lowest_peak; /* the peak never falls below it */
    int32_t release;     /* by which the peak falls in a tick */
    int32_t range;       /* a channel is silent this far below the peak */
    int32_t threshold;   /* charge of a spike */
} filter_levels_t;

typedef struct {
    int32_t x1, x2, peak, samples;
} filter_common_t;

/* Logarithm to the base 2 of 1 and more, linear between powers of 2 (Mitchell 1962). */
static inline int32_t filter_log2(int32_t value) {
    int32_t whole = 0;
    for (int32_t half = 16; half > 0; half /= 2)
        if (value >> (whole + half)) whole += half;
    const int32_t rest = value - ((int32_t)1 << whole); /* what is above the power of 2 */
    return whole * 65536 + (whole > 16 ? rest >> (whole - 16) : rest << (16 - whole));
}

static inline int32_t filter_resonate(const filter_band_t* band, int32_t difference, int32_t y1,
                                      int32_t y2) {
    const int64_t sum =
        (int64_t)band->gain * difference + (int64_t)band->a1 * y1 + (int64_t)band->a2 * y2;
    return (int32_t)((sum + ((int32_t)1 << 28)) >> 29);
}

static inline void filter_begin(filter_common_t* common, filter_channel_t* channels,
                                const filter_levels_t* levels, int n_channels) {
    const filter_channel_t silent = {0, 0, 0, 0, 0, 0, 0};
    for (int c = 0; c < n_channels; c++) channels[c] = silent;
    common->x1 = common->x2 = common->samples = 0;
    common->peak = levels->lowest_peak;
}

/* Take a sample. At the end of a tick: the number of channels that spike, which are in `fired`; else -1. */
static inline int filter_sample(filter_common_t* common, filter_channel_t* channels,
                                const filter_band_t* bands, const filter_levels_t* levels,
                                int n_channels, int16_t sample, uint16_t* fired) {
    const int32_t x = (int32_t)sample * 1024, difference = x - common->x2;
    common->x2 = common->x1;
    common->x1 = x;
    for (int c = 0; c < n_channels; c++) {
        filter_channel_t* s = channels + c;
        const int32_t y = filter_resonate(bands + c, difference, s->y1, s->y2);
        const int32_t z = filter_resonate(bands + c, y - s->y2, s->z1, s->z2);
        s->y2 = s->y1;
        s->y1 = y;
        s->z2 = s->z1;
        s->z1 = z;
        s->sum += (z < 0 ? -z : z) >> 4;
    }
    if (++common->samples < FILTER_SAMPLES_OF_A_TICK) return -1;
    common->samples = 0;
    common->peak -= levels->release;
    if (common->peak < levels->lowest_peak) common->peak = levels->lowest_peak;
    for (int c = 0; c < n_channels; c++) {
        filter_channel_t* s = channels + c;
        s->envelope += (s->sum - s->envelope) / 4; /* falls with a time constant of 3.5 ms */
        s->sum = filter_log2(s->envelope > 0 ? s->envelope : 1);
        if (s->sum > common->peak) common->peak = s->sum;
    }
    int n_fired = 0;
    for (int c = 0; c < n_channels; c++) {
        filter_channel_t* s = channels + c;
        const int32_t above = s->sum - (common->peak - levels->range);
        s->sum = 0;
        if (above > 0) s->charge += above;
        if (s->charge < levels->threshold) continue;
        s->charge -= levels->threshold;
        fired[n_fired++] = (uint16_t)c;
    }
    return n_fired;
}
