/* What the network takes at a time: the whole image, or one of its rows. */
#ifdef STREAM
enum { PARTS = 28, PIXELS = 28 };
#else
enum { PARTS = 1, PIXELS = 784 };
#endif
