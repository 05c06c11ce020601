"""`xformer bench`: measure kernels and training, compare records, draw them."""
