"""`tag34 bitstream`: from a board's file to what is loaded into its FPGA, with tools from PyPI alone."""
