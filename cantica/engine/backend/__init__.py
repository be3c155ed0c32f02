"""Everything that depends on the device: the BLAS, the kernels for a CPU, and every patch of a library."""
