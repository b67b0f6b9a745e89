/* Run the network on images in flash, and print a line of numbers for each over the serial port:
 *
 * ten logits, the timer's count of cycles, its count of 1,024 cycles, whether that one overflowed,
 * and the bytes of stack; each number has eight hexadecimal digits.
 */

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <stdint.h>

#include "image.h"

#define PAINT 0xa5

void network(const uint8_t *image, int32_t *logits);

extern uint8_t _end[];

/* The finished file gets images in place of this. */
static const uint8_t images[IMAGES][784] PROGMEM = {"mnistcli: images go here"};

static uint8_t image[PIXELS];
static int32_t logits[10];
static uint8_t has_overflowed;

static void print(uint32_t word)
{
    for (int shift = 28; shift >= 0; shift -= 4) {
        while (!(UCSR0A & (1 << UDRE0))) continue;
        UDR0 = (uint8_t)"0123456789abcdef"[(word >> shift) & 15];
    }
}

/* Run the network once, and return the bytes of stack it takes: what it changes of painted memory.
 * If that was all there is, variables may have been changed, too: no device has so much. */
static __attribute__((noinline)) uint16_t measure(uint8_t clock, uint16_t *count)
{
    uint8_t *const top = (uint8_t *)SP;
    for (volatile uint8_t *byte = _end; byte <= top; byte++) *byte = PAINT;
    TCCR1B = 0;
    TCNT1 = 0;
    TIFR1 = 1 << TOV1;
    TCCR1B = clock;
    network(image, logits);
    *count = TCNT1;
    has_overflowed |= TIFR1 & (1 << TOV1);
    volatile uint8_t *deepest = _end;
    while (deepest <= top && *deepest == PAINT) deepest++;
    return deepest == _end ? UINT16_MAX : (uint16_t)(top + 1 - deepest);
}

/* Run the network on an image. Return the bytes of stack, and sum up the counts. */
static uint16_t run(int number, uint8_t clock, uint32_t *count)
{
    uint16_t stack = 0;
    *count = 0;
    has_overflowed = 0;
    for (int part = 0; part < PARTS; part++) {
        uint16_t once;
        memcpy_P(image, images[number] + part * PIXELS, PIXELS);
        const uint16_t taken = measure(clock, &once);
        if (taken > stack) stack = taken;
        *count += once;
    }
    return stack;
}

int main(void)
{
    UBRR0 = 0;
    UCSR0A = 1 << U2X0;
    UCSR0B = 1 << TXEN0;
    for (int number = 0; number < IMAGES; number++) {
        uint32_t low, high;
        const uint16_t stack = run(number, 1 << CS10, &low);
        run(number, 1 << CS12 | 1 << CS10, &high);
        for (int digit = 0; digit < 10; digit++) print((uint32_t)logits[digit]);
        print(low);
        print(high);
        print(has_overflowed);
        print(stack);
        while (!(UCSR0A & (1 << UDRE0))) continue;
        UDR0 = '\n';
    }
    cli();
    sleep_enable();
    sleep_cpu();
}
