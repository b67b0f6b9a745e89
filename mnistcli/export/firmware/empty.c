/* In place of the network: what a program needs without it. */

#include <stdint.h>

void network(const uint8_t *image, int32_t *logits);

void network(const uint8_t *image, int32_t *logits)
{
    logits[0] = image[0];
}
