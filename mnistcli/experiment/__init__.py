"""The one place where all meet: preset, network, data, loop, evaluation, record, verdict."""
