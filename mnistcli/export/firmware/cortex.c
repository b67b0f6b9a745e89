/* Start a Cortex-M, read images from the file "images" and write answers to the file "answers".
 *
 * Files are the host's, by semihosting. An answer is ten logits, the timer's ticks and the bytes of
 * stack. The first answer has no logits: its ticks are those of CALIBRATION instructions.
 */

#include <stdint.h>

#include "image.h"

void network(const uint8_t *image, int32_t *logits);
void start(void);
int main(void);

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {stack_top, start};

static uint8_t image[PIXELS];
static int32_t answer[12];

enum { OPEN = 1, CLOSE = 2, WRITE = 5, READ = 6, EXIT = 0x18 };
enum { READ_BINARY = 1, WRITE_BINARY = 5, SUCCESS = 0x20026 };
#define CALIBRATION 10000000
#define PAINT 0xa5a5a5a5u
/* The core's own timer, of 24 bits: control, reload, value. */
#define TIMER ((volatile uint32_t *)0xe000e010)
#define OVERFLOW 0x10000u

static int call(int operation, uintptr_t argument)
{
    register int r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static int open_file(const char *name, uintptr_t length, uintptr_t mode)
{
    const uintptr_t arguments[] = {(uintptr_t)name, mode, length};
    return call(OPEN, (uintptr_t)arguments);
}

static int move(int operation, int file, void *bytes, uintptr_t count)
{
    const uintptr_t arguments[] = {(uintptr_t)file, (uintptr_t)bytes, count};
    return call(operation, (uintptr_t)arguments);
}

static uint32_t *find_stack(void)
{
    uint32_t *pointer;
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
    return pointer;
}

static void start_timer(void)
{
    TIMER[0] = 0;
    TIMER[1] = 0xffffff;
    TIMER[2] = 0;
    TIMER[0] = 5;
}

/* Return the ticks since the start, or -1 if there were too many. */
static int32_t read_timer(void)
{
    const uint32_t value = TIMER[2];
    return TIMER[0] & OVERFLOW ? -1 : (int32_t)(0xffffff - value);
}

static void calibrate(void)
{
    uint32_t count = CALIBRATION / 2;
    start_timer();
    __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(count) : : "cc");
    answer[10] = read_timer();
}

/* Run the network once; what it changes of painted memory is its stack. */
static __attribute__((noinline)) void measure(void)
{
    uint32_t *const top = find_stack();
    for (volatile uint32_t *word = bss_end; word < top; word++) *word = PAINT;
    start_timer();
    network(image, answer);
    const int32_t ticks = read_timer();
    answer[10] = ticks < 0 || answer[10] < 0 ? -1 : answer[10] + ticks;
    volatile uint32_t *deepest = bss_end;
    while (deepest < top && *deepest == PAINT) deepest++;
    const int32_t stack = (int32_t)((uintptr_t)top - (uintptr_t)deepest);
    if (stack > answer[11]) answer[11] = stack;
}

/* Read an image and run the network on it. Return 0 where there is none. */
static int run(int input)
{
    answer[10] = answer[11] = 0;
    for (int part = 0; part < PARTS; part++) {
        if (move(READ, input, image, sizeof image) != 0) return 0;
        measure();
    }
    return 1;
}

int main(void)
{
    const int input = open_file("images", 6, READ_BINARY);
    const int output = open_file("answers", 7, WRITE_BINARY);
    calibrate();
    move(WRITE, output, answer, sizeof answer);
    while (run(input)) move(WRITE, output, answer, sizeof answer);
    call(CLOSE, (uintptr_t)&output);
    call(EXIT, SUCCESS);
    return 0;
}

void start(void)
{
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) *to = *from++;
    for (uint32_t *to = bss_start; to < bss_end; to++) *to = 0;
    main();
}
