"""Every patch of MLX, mlx-lm, transformers and DVC: one module for each library."""
