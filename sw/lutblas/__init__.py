"""Software of the LUT tensor core: data types, their lowering to the lanes, and imports."""
