"""DataBlock, augmentation, losses, Learner and the training loop, on fastai."""
