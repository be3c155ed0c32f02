"""Functions for a CPU: NumPy does the elementwise work, on every core, and MLX the products."""
