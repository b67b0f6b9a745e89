"""Train very small networks on MNIST to meet a budget, and say PASS or FAIL."""

__version__ = "0.2.0"
