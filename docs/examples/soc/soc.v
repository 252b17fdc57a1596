// The engine between a memory and what starts it. Buses are connected by their names; what a simple
// slave does not need of AXI4 (IDs, size, burst, cache, prot) is left open.
module soc #(
    parameter [31:0] PROGRAM_BASE = 0,
    parameter [31:0] PROGRAM_LENGTH = 0,
    parameter WORDS = 1024
) (
    input clk,
    input rst,
    output irq,
    output done,
    output [7:0] cause
);
  localparam DATA_BITS = 128, ADDRESS_BITS = 40;  // lut_engine_axi.json: buses, m_axi

  wire [ADDRESS_BITS-1:0] awaddr, araddr;
  wire [7:0] awlen, arlen;
  wire [DATA_BITS-1:0] wdata, rdata;
  wire [DATA_BITS/8-1:0] wstrb;
  wire [1:0] bresp, rresp;
  wire awvalid, awready, wlast, wvalid, wready, bvalid, bready;
  wire arvalid, arready, rlast, rvalid, rready;

  wire [11:0] s_awaddr, s_araddr;
  wire [31:0] s_wdata, s_rdata;
  wire s_awvalid, s_awready, s_wvalid, s_wready, s_bvalid, s_bready;
  wire s_arvalid, s_arready, s_rvalid, s_rready;

  lut_engine_axi engine (
      .clk(clk),
      .rst(rst),
      .irq(irq),

      .m_axi_awid(),
      .m_axi_awaddr(awaddr),
      .m_axi_awlen(awlen),
      .m_axi_awsize(),
      .m_axi_awburst(),
      .m_axi_awcache(),
      .m_axi_awprot(),
      .m_axi_awvalid(awvalid),
      .m_axi_awready(awready),
      .m_axi_wdata(wdata),
      .m_axi_wstrb(wstrb),
      .m_axi_wlast(wlast),
      .m_axi_wvalid(wvalid),
      .m_axi_wready(wready),
      .m_axi_bid(1'b0),
      .m_axi_bresp(bresp),
      .m_axi_bvalid(bvalid),
      .m_axi_bready(bready),
      .m_axi_arid(),
      .m_axi_araddr(araddr),
      .m_axi_arlen(arlen),
      .m_axi_arsize(),
      .m_axi_arburst(),
      .m_axi_arcache(),
      .m_axi_arprot(),
      .m_axi_arvalid(arvalid),
      .m_axi_arready(arready),
      .m_axi_rid(1'b0),
      .m_axi_rdata(rdata),
      .m_axi_rresp(rresp),
      .m_axi_rlast(rlast),
      .m_axi_rvalid(rvalid),
      .m_axi_rready(rready),

      .s_axi_awaddr(s_awaddr),
      .s_axi_awprot(3'b000),
      .s_axi_awvalid(s_awvalid),
      .s_axi_awready(s_awready),
      .s_axi_wdata(s_wdata),
      .s_axi_wstrb(4'b1111),
      .s_axi_wvalid(s_wvalid),
      .s_axi_wready(s_wready),
      .s_axi_bresp(),
      .s_axi_bvalid(s_bvalid),
      .s_axi_bready(s_bready),
      .s_axi_araddr(s_araddr),
      .s_axi_arprot(3'b000),
      .s_axi_arvalid(s_arvalid),
      .s_axi_arready(s_arready),
      .s_axi_rdata(s_rdata),
      .s_axi_rresp(),
      .s_axi_rvalid(s_rvalid),
      .s_axi_rready(s_rready)
  );

  axi_memory #(
      .DATA_BITS(DATA_BITS),
      .ADDRESS_BITS(ADDRESS_BITS),
      .WORDS(WORDS)
  ) memory (
      .clk(clk),
      .rst(rst),
      .awaddr(awaddr),
      .awlen(awlen),
      .awvalid(awvalid),
      .awready(awready),
      .wdata(wdata),
      .wstrb(wstrb),
      .wlast(wlast),
      .wvalid(wvalid),
      .wready(wready),
      .bresp(bresp),
      .bvalid(bvalid),
      .bready(bready),
      .araddr(araddr),
      .arlen(arlen),
      .arvalid(arvalid),
      .arready(arready),
      .rdata(rdata),
      .rresp(rresp),
      .rlast(rlast),
      .rvalid(rvalid),
      .rready(rready)
  );

  starter #(
      .PROGRAM_BASE(PROGRAM_BASE),
      .PROGRAM_LENGTH(PROGRAM_LENGTH)
  ) starter (
      .clk(clk),
      .rst(rst),
      .irq(irq),
      .awaddr(s_awaddr),
      .awvalid(s_awvalid),
      .awready(s_awready),
      .wdata(s_wdata),
      .wvalid(s_wvalid),
      .wready(s_wready),
      .bvalid(s_bvalid),
      .bready(s_bready),
      .araddr(s_araddr),
      .arvalid(s_arvalid),
      .arready(s_arready),
      .rdata(s_rdata),
      .rvalid(s_rvalid),
      .rready(s_rready),
      .done(done),
      .cause(cause)
  );
endmodule
