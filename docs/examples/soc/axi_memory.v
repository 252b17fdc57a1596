// A memory behind AXI4: one burst at a time in each direction, INCR bursts of whole words.
module axi_memory #(
    parameter DATA_BITS = 128,
    parameter ADDRESS_BITS = 40,
    parameter WORDS = 1024  // a power of two
) (
    input clk,
    input rst,

    input [ADDRESS_BITS-1:0] awaddr,
    input [7:0] awlen,
    input awvalid,
    output awready,
    input [DATA_BITS-1:0] wdata,
    input [DATA_BITS/8-1:0] wstrb,
    input wlast,
    input wvalid,
    output wready,
    output [1:0] bresp,
    output reg bvalid,
    input bready,

    input [ADDRESS_BITS-1:0] araddr,
    input [7:0] arlen,
    input arvalid,
    output arready,
    output [DATA_BITS-1:0] rdata,
    output [1:0] rresp,
    output rlast,
    output rvalid,
    input rready
);
  localparam OFFSET = $clog2(DATA_BITS / 8);
  localparam INDEX = $clog2(WORDS);
  localparam NUMBER = ADDRESS_BITS - OFFSET;  // bits of the number of a word
  localparam [1:0] OKAY = 2'b00, DECERR = 2'b11;

  reg [DATA_BITS-1:0] words[0:WORDS-1];

  // Reads: a word in every cycle in which it is taken.
  reg reading;
  reg [NUMBER-1:0] read_word;
  reg [7:0] read_left;
  assign arready = !reading;
  assign rvalid = reading;
  assign rdata = words[read_word[INDEX-1:0]];
  assign rresp = |read_word[NUMBER-1:INDEX] ? DECERR : OKAY;
  assign rlast = read_left == 0;
  always @(posedge clk) begin
    if (arvalid && arready) begin
      reading <= 1;
      read_word <= araddr[ADDRESS_BITS-1:OFFSET];
      read_left <= arlen;
    end else if (rvalid && rready) begin
      reading <= !rlast;
      read_word <= read_word + 1;
      read_left <= read_left - 1;
    end
    if (rst) reading <= 0;
  end

  // Writes: the address, then the words, then one response.
  reg writing, missed;
  reg [NUMBER-1:0] write_word;
  integer i;
  assign awready = !writing && !bvalid;
  assign wready = writing;
  assign bresp = missed ? DECERR : OKAY;
  always @(posedge clk) begin
    if (awvalid && awready) begin
      writing <= 1;
      missed <= 0;
      write_word <= awaddr[ADDRESS_BITS-1:OFFSET];
    end
    if (wvalid && wready) begin
      if (|write_word[NUMBER-1:INDEX]) missed <= 1;
      else
        for (i = 0; i < DATA_BITS / 8; i = i + 1)
          if (wstrb[i]) words[write_word[INDEX-1:0]][8*i+:8] <= wdata[8*i+:8];
      write_word <= write_word + 1;
      if (wlast) begin
        writing <= 0;
        bvalid <= 1;
      end
    end
    if (bvalid && bready) bvalid <= 0;
    if (rst) begin
      writing <= 0;
      bvalid <= 0;
    end
  end
  // Without bursts of fixed length, AWLEN says what WLAST says again.
  wire unused = &{1'b0, awlen};
endmodule
