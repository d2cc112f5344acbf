// The cells of an iCE40 that a netlist of Yosys is made of, as they are simulated: one clock, no delays. The block RAM comes with Yosys.
module SB_LUT4(output O, input I0, I1, I2, I3);
  parameter [15:0] LUT_INIT = 0;
  wire [15:0] init = LUT_INIT;
  assign O = init[{I3, I2, I1, I0}];
endmodule
module SB_CARRY(output CO, input I0, I1, CI);
  assign CO = (I0 & I1) | ((I0 | I1) & CI);
endmodule
module SB_DFF(output reg Q = 0, input C, D);
  wire clk = C;
  always @(posedge clk) Q <= D;
endmodule
module SB_DFFE(output reg Q = 0, input C, E, D);
  wire clk = C;
  always @(posedge clk) if (E) Q <= D;
endmodule
module SB_DFFSR(output reg Q = 0, input C, R, D);
  wire clk = C;
  always @(posedge clk) Q <= ~R & D;
endmodule
module SB_DFFSS(output reg Q = 0, input C, S, D);
  wire clk = C;
  always @(posedge clk) Q <= S | D;
endmodule
module SB_DFFESR(output reg Q = 0, input C, E, R, D);
  wire clk = C;
  always @(posedge clk) if (E) Q <= ~R & D;
endmodule
module SB_DFFESS(output reg Q = 0, input C, E, S, D);
  wire clk = C;
  always @(posedge clk) if (E) Q <= S | D;
endmodule
