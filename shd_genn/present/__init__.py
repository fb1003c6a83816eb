"""What a network is presented with: augmented samples, delayed copies, batches."""
