"""The network learns: data, model, augmentation, optimizers, the loop, evaluation."""
