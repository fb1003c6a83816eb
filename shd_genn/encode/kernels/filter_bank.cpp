// The filter bank of encode/filter_bank.py, for a piece of a stream.

#include "filter_bank.h"
#include "failure.h"
#include "interface.h"

static_assert(sizeof(filter_channel_t) == 28 && sizeof(filter_common_t) == 16 &&
                  sizeof(filter_band_t) == 12 && sizeof(filter_levels_t) == 16,
              "Python's arrays have another layout");

// Returns the number of spikes; 0 if it fails.
extern "C" int64_t filter_bank_push(const PushArguments* arguments, Failure* failure) {
    int64_t count = 0;
    guarded(*failure, [&] {
        const PushArguments& a = *arguments;
        refuse_unless(a.sound && a.bands && a.levels && a.common && a.channels && a.fired &&
                          a.ticks && a.spiking,
                      "a pointer is null");
        refuse_unless(a.n_channels >= 1 && a.n_samples >= 0, "there are no channels");
        auto* const fired = static_cast<uint16_t*>(a.fired);
        const auto* const sound = static_cast<const int16_t*>(a.sound);
        auto* const common = static_cast<filter_common_t*>(a.common);
        int64_t tick = a.first_tick;
        for (int64_t i = 0; i < a.n_samples; i++) {
            const int n = filter_sample(common, static_cast<filter_channel_t*>(a.channels),
                                        static_cast<const filter_band_t*>(a.bands),
                                        static_cast<const filter_levels_t*>(a.levels), a.n_channels,
                                        sound[i], fired);
            if (n < 0) continue;
            refuse_unless(count + n <= a.capacity, "there is too little room for spikes");
            for (int k = 0; k < n; k++) {
                a.ticks[count] = tick;
                a.spiking[count++] = fired[k];
            }
            tick++;
        }
    });
    return count;
}
