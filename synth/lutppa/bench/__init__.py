"""Benches in cocotb of units that are not the core's own; run by `lutverif.bench.runner`."""
