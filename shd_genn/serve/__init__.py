"""A local page to speak into: a recording goes in, spikes, voltages and the word come out."""
