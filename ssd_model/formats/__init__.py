"""Weights as others save them: Paddle 1.x, PaddleClas, PaddleDetection."""
