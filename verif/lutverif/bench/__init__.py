"""Unit benches in cocotb: `runner` builds and runs them, one module a unit holds its tests.

Every bench has drivers and monitors (`streams`), stimulus (`stimulus`), payloads written from the
specification (`payloads`) and a checker that compares with the golden model, bit for bit.
"""
