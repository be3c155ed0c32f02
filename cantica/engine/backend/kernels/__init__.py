"""Kernels for a CPU: NumPy does the elementwise work, on all cores, and MLX does the matrix products."""
