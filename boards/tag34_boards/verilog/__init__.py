"""The core as Verilog with AXI ports, for designs of others (``tag34 verilog``)."""
