// In place of a processor: starts one program, waits for the interrupt, reads how it ended.
// The offsets are those of registers/lutcore_engine.h.
module starter #(
    parameter [31:0] PROGRAM_BASE = 0,
    parameter [31:0] PROGRAM_LENGTH = 0
) (
    input clk,
    input rst,
    input irq,

    output [11:0] awaddr,
    output reg awvalid,
    input awready,
    output [31:0] wdata,
    output reg wvalid,
    input wready,
    input bvalid,
    output bready,

    output [11:0] araddr,
    output reg arvalid,
    input arready,
    input [31:0] rdata,
    input rvalid,
    output rready,

    output done,
    output reg [7:0] cause  // 0: the program came to its halt
);
  localparam [1:0] WRITE = 0, WAIT = 1, READ = 2, DONE = 3;
  localparam LAST = 3;
  reg [1:0] state;
  reg [1:0] index;
  reg [43:0] write;  // offset and data

  always @*
    case (index)
      0: write = {12'h030, PROGRAM_BASE};  // program_base_low
      1: write = {12'h038, PROGRAM_LENGTH};  // program_length
      2: write = {12'h020, 32'd3};  // interrupt_enable: done, error
      LAST: write = {12'h010, 32'd1};  // control: start
    endcase
  assign {awaddr, wdata} = write;
  assign araddr = 12'h014;  // status: busy, halted, cause in bits 15 to 8
  assign bready = 1;
  assign rready = 1;
  assign done = state == DONE;

  always @(posedge clk) begin
    if (awready) awvalid <= 0;
    if (wready) wvalid <= 0;
    if (arready) arvalid <= 0;
    case (state)
      WRITE:
      if (bvalid) begin
        index <= index + 1;
        awvalid <= index != LAST;
        wvalid <= index != LAST;
        if (index == LAST) state <= WAIT;
      end
      WAIT:
      if (irq) begin
        arvalid <= 1;
        state <= READ;
      end
      READ:
      if (rvalid) begin
        cause <= rdata[15:8];
        state <= DONE;
      end
      DONE: ;
    endcase
    if (rst) begin
      state <= WRITE;
      index <= 0;
      awvalid <= 1;
      wvalid <= 1;
      arvalid <= 0;
    end
  end
  wire unused = &{1'b0, rdata};
endmodule
