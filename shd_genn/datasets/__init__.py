"""Where spikes come from: SHD and SSC, folders of HDF5 files, and the embedded spoken digits."""
