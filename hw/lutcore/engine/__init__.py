"""The engine that runs LMMA programs on a core, in RTL; docs/lmma.md, "The engine"."""
