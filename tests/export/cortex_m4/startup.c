/* Starts a program on qemu's board mps2-an386, a Cortex-M4 with a floating-point unit. */
#include <stdint.h>

extern void stack_top(void); /* not a function: the linker script gives its address */
extern void _start(void); /* newlib's, which talks to the host by semihosting */

static void reset(void) {
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* switch the floating-point unit on */
    _start();
}

static void fault(void) {
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    stack_top, reset, fault, fault, fault, fault, fault};
