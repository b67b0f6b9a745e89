/* The network as one function, whose size and stack are measured. */

#include "network.h"

void network(const uint8_t *image, int32_t *logits);

void network(const uint8_t *image, int32_t *logits)
{
    mnist_logits(image, logits);
}
