/* Counts instructions per ms of speech under qemu-system-arm -icount shift=0, which takes 1 ns for each:
 * arm-none-eabi-gcc … -DNETWORK='"network.c"' instructions.c startup.c …; see docs/microcontrollers.md. */
#include <stdio.h>
#include NETWORK

#define SYSTICK ((volatile uint32_t *)0xE000E010u) /* control, reload, value; counts down at 25 MHz */
#define INSTRUCTIONS_OF_A_TICK 40

static listener_t listener;

static int word_of(const int16_t *samples) {
    int word = -1;
    for (int i = 0; i < 16; i++) {
        const int found = listener_sample(&listener, samples[i]);
        if (found >= 0) word = found;
    }
    return word;
}

int main(void) {
    int16_t samples[16];
    uint32_t ms = 0, longest = 0;
    uint64_t all = 0;
    SYSTICK[1] = 0xFFFFFFu;
    SYSTICK[0] = 5u; /* on, by the processor's clock */
    listener_begin(&listener);
    while (fread(samples, sizeof samples, 1, stdin) == 1) {
        const uint32_t begin = SYSTICK[2];
        const int word = word_of(samples);
        const uint32_t taken = (begin - SYSTICK[2]) & 0xFFFFFFu;
        all += taken;
        ms++;
        if (taken > longest) longest = taken;
        if (word >= 0) printf("%lu ms: %s\n", (unsigned long)ms, network_words[word]);
    }
    printf("%lu instructions a ms, %lu in the longest\n", (unsigned long)(all * INSTRUCTIONS_OF_A_TICK / ms),
           (unsigned long)longest * INSTRUCTIONS_OF_A_TICK);
    return 0;
}
