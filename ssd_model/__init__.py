"""MobileNetV1-SSD for Paddle 3: the network, its lost operators, its data."""
