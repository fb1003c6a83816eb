"""Trained networks for other programs and machines: NIR, NumPy, C, PyTorch."""
