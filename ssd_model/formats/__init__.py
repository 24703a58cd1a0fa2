"""Read weights that others save: Paddle 1.x, PaddleClas, PaddleDetection."""
