// A ring of registers around the core: what the harness sets is what the core sees from the next edge on. Nothing that comes from outside goes
// into logic, so one evaluation per cycle settles everything (harness.cpp). A core in parts (parts.py) has an edge of wake for each of them, if it is
// awake.
module tag34_harness #(parameter WIDTH = 1, COUNT_BITS = 1, SESSION_BITS = 1, RECORD_BITS = 1, ADDRESS_BITS = 1) (
  input clk, input next_rst,
  input next_rx_valid, input [8*WIDTH-1:0] next_rx_data, input [COUNT_BITS-1:0] next_rx_count, input [SESSION_BITS-1:0] next_rx_session,
  input next_body_valid, input [8*WIDTH-1:0] next_body_data, input [COUNT_BITS-1:0] next_body_count, input [SESSION_BITS-1:0] next_body_session,
  input next_body_last,
  input next_header_valid, input [SESSION_BITS-1:0] next_header_session, input [31:0] next_header_msg_type, input next_header_replay,
  input [39:0] next_header_seq, input next_header_body,
  input next_deliver_ready, input next_tx_ready, input next_records_ready,
  input [ADDRESS_BITS-1:0] next_address, input next_write, input [31:0] next_write_data, input next_read,
  output rx_ready, output body_ready, output header_ready,
  output deliver_valid, output [8*WIDTH-1:0] deliver_data, output [COUNT_BITS-1:0] deliver_count, output deliver_last,
  output [SESSION_BITS-1:0] deliver_session,
  output tx_valid, output [8*WIDTH-1:0] tx_data, output [COUNT_BITS-1:0] tx_count, output tx_last,
  output [SESSION_BITS-1:0] tx_session,
  output records_valid, output [RECORD_BITS-1:0] records,
`ifdef PARTS
  input [`PARTS-1:0] wake, `MOVED output [`PARTS-1:0] awake, output [`PARTS-1:0] shown,
`endif
  output [31:0] read_data, output ready, output idle
);
  localparam BEAT = 8 * WIDTH + COUNT_BITS + SESSION_BITS + 1;
  reg rst, rx_valid, body_valid, header_valid, deliver_ready, tx_ready, records_ready, write, read;
  reg [BEAT-1:0] rx, body;
  reg [SESSION_BITS+73:0] header;
  reg [ADDRESS_BITS-1:0] address;
  reg [31:0] write_data;

  always @(posedge clk) begin
    rst <= next_rst;
    rx_valid <= next_rx_valid;
    if (next_rx_valid) rx <= {1'b0, next_rx_session, next_rx_count, next_rx_data};
    body_valid <= next_body_valid;
    if (next_body_valid) body <= {next_body_last, next_body_session, next_body_count, next_body_data};
    header_valid <= next_header_valid;
    if (next_header_valid) header <= {next_header_body, next_header_seq, next_header_replay, next_header_msg_type, next_header_session};
    deliver_ready <= next_deliver_ready;
    tx_ready <= next_tx_ready;
    records_ready <= next_records_ready;
    address <= next_address;
    write <= next_write;
    write_data <= next_write_data;
    read <= next_read;
  end

  tag34_core core (
    .clk(clk), .rst(rst),
`ifdef PARTS
    .wake(wake), `MOVED_PINS .awake(awake), .shown(shown),
`endif
    .rx__valid(rx_valid), .rx__payload(rx), .rx__ready(rx_ready),
    .send_body__valid(body_valid), .send_body__payload(body), .send_body__ready(body_ready),
    .send_header__valid(header_valid), .send_header__payload(header), .send_header__ready(header_ready),
    .deliver__valid(deliver_valid), .deliver__payload({deliver_last, deliver_session, deliver_count, deliver_data}),
    .deliver__ready(deliver_ready),
    .tx__valid(tx_valid), .tx__payload({tx_last, tx_session, tx_count, tx_data}), .tx__ready(tx_ready),
    .records__valid(records_valid), .records__payload(records), .records__ready(records_ready),
    .address(address), .write(write), .write_data(write_data), .read(read), .read_data(read_data), .ready(ready),
    .idle(idle)
  );
endmodule
