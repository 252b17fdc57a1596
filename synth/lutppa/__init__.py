"""Area of a core: cell libraries, mapping with Yosys, reports."""
