"""Where spikes come from: SHD and SSC, folders of HDF5 files, and the embedded spoken digits."""

SPOKEN_DIGITS = "spoken-digits"
NOT_SHD = (
    "spoken-digits is synthesised speech, not SHD. The real SHD: "
    "python -m shd_genn.datasets shd, then --dataset shd (see the README)"
)
