/* The network as one function, whose size and stack are measured. With STREAM it takes a row. */

#include "network.h"

void network(const uint8_t *image, int32_t *logits);

void network(const uint8_t *image, int32_t *logits)
{
#ifdef STREAM
    mnist_take_row(image, logits);
#else
    mnist_logits(image, logits);
#endif
}
