"""Verification of the LUT tensor core: golden model, exact oracle, benches, native harness."""
