"""Sound → spikes: recordings, and the cochlea that made SHD."""
