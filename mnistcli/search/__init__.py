"""Budget in, network out: proposals, races over rungs of epochs, and a confirmation."""
