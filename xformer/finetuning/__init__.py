"""Fine-tuning of a pretrained encoder: a task of `xformer.training`, whose runs are runs like any other."""
