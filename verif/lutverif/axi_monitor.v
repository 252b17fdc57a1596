// Watches an AXI4 or AXI4-Lite bus and shows in `fault` the first rule that is broken since a reset
// began, 0 for none.
// It shares nothing with the designs that it watches. lutverif.axi names the faults.
// Source: ARM IHI 0022 (AMBA AXI, issue H.c), chapters A3, A5 and B1.

// One channel: fault 1 if VALID falls before READY, 2 if the payload changes, 3 if VALID in reset.
module axi_channel_monitor #(
    parameter BITS = 1
) (
    input clk,
    input rst,
    input valid,
    input ready,
    input [BITS-1:0] payload,
    output [1:0] fault
);
    reg waiting = 0;
    reg resetting = 0;
    reg [BITS-1:0] held = 0;
    always @(posedge clk) begin
        waiting <= valid && !ready && !rst;
        resetting <= rst;
        held <= payload;
    end
    assign fault = rst ? (resetting && valid ? 2'd3 : 2'd0)
        : waiting && !valid ? 2'd1
        : waiting && payload != held ? 2'd2 : 2'd0;
endmodule

module axi_monitor #(
    parameter DATA_BITS = 64,
    parameter ADDRESS_BITS = 32,
    parameter ID_BITS = 1,
    parameter MAX_BEATS = 16,  // of a burst
    parameter OUTSTANDING = 4,  // bursts in flight, reads and writes each
    parameter ALIGNED = 1  // whether addresses are multiples of the width
) (
    input clk,
    input rst,
    input [ID_BITS-1:0] awid,
    input [ADDRESS_BITS-1:0] awaddr,
    input [7:0] awlen,
    input [2:0] awsize,
    input [1:0] awburst,
    input [6:0] awother,
    input awvalid,
    input awready,
    input [DATA_BITS-1:0] wdata,
    input [DATA_BITS/8-1:0] wstrb,
    input wlast,
    input wvalid,
    input wready,
    input [ID_BITS-1:0] bid,
    input [1:0] bresp,
    input bvalid,
    input bready,
    input [ID_BITS-1:0] arid,
    input [ADDRESS_BITS-1:0] araddr,
    input [7:0] arlen,
    input [2:0] arsize,
    input [1:0] arburst,
    input [6:0] arother,
    input arvalid,
    input arready,
    input [ID_BITS-1:0] rid,
    input [DATA_BITS-1:0] rdata,
    input [1:0] rresp,
    input rlast,
    input rvalid,
    input rready,
    output reg [7:0] fault
);
    localparam SIZE = $clog2(DATA_BITS / 8);
    localparam ADDRESS_PAYLOAD = ID_BITS + ADDRESS_BITS + 20;

    // Handshakes: faults 11 to 13 on AW, 21 to 23 on W, 31 on B, 41 on AR, 51 on R.
    wire [1:0] aw_fault, w_fault, b_fault, ar_fault, r_fault;
    axi_channel_monitor #(ADDRESS_PAYLOAD) aw (
        clk, rst, awvalid, awready, {awid, awaddr, awlen, awsize, awburst, awother}, aw_fault);
    axi_channel_monitor #(DATA_BITS + DATA_BITS / 8 + 1) w (
        clk, rst, wvalid, wready, {wdata, wstrb, wlast}, w_fault);
    axi_channel_monitor #(ID_BITS + 2) b (clk, rst, bvalid, bready, {bid, bresp}, b_fault);
    axi_channel_monitor #(ADDRESS_PAYLOAD) ar (
        clk, rst, arvalid, arready, {arid, araddr, arlen, arsize, arburst, arother}, ar_fault);
    axi_channel_monitor #(ID_BITS + DATA_BITS + 3) r (
        clk, rst, rvalid, rready, {rid, rdata, rresp, rlast}, r_fault);

    // A burst by itself: faults 1 to 5, added to 60 for writes and 70 for reads.
    function automatic [7:0] burst_fault(
        input [ID_BITS-1:0] id, input [ADDRESS_BITS-1:0] address, input [7:0] len,
        input [2:0] size, input [1:0] kind);
        integer first, bytes;
        begin
            first = {20'd0, address[11:0]} / (DATA_BITS / 8) * (DATA_BITS / 8);
            bytes = ({24'd0, len} + 1) * (DATA_BITS / 8);
            if (size != SIZE || kind != 2'b01) burst_fault = 1;
            else if (ALIGNED != 0 && first != {20'd0, address[11:0]}) burst_fault = 2;
            else if ({24'd0, len} >= MAX_BEATS) burst_fault = 3;
            else if (first + bytes > 4096) burst_fault = 4;
            else if (id != 0) burst_fault = 5;
            else burst_fault = 0;
        end
    endfunction
    wire [7:0] aw_burst = burst_fault(awid, awaddr, awlen, awsize, awburst);
    wire [7:0] ar_burst = burst_fault(arid, araddr, arlen, arsize, arburst);

    // Bursts against each other. Counts are of what has moved since reset; all bursts have one ID,
    // so data and responses come in the order of the addresses.
    reg [7:0] aw_lengths [0:1023];
    reg [7:0] w_lengths [0:1023];
    reg [7:0] ar_lengths [0:1023];
    reg [31:0] aw_count, w_count, b_count, ar_count, r_count, checked;
    reg [8:0] w_beat;
    reg [7:0] r_beat;
    wire [31:0] written = aw_count < w_count ? aw_count : w_count;
    reg [7:0] seen;
    reg resetting = 0;
    always @* begin
        seen = 0;
        if (aw_fault != 0) seen = 10 + aw_fault;
        else if (w_fault != 0) seen = 20 + w_fault;
        else if (b_fault != 0) seen = 30 + b_fault;
        else if (ar_fault != 0) seen = 40 + ar_fault;
        else if (r_fault != 0) seen = 50 + r_fault;
        else if (rst) seen = 0;
        else if (awvalid && aw_burst != 0) seen = 60 + aw_burst;
        else if (arvalid && ar_burst != 0) seen = 70 + ar_burst;
        else if (checked != written
                 && aw_lengths[checked[9:0]] != w_lengths[checked[9:0]]) seen = 81;
        else if (wvalid && w_beat > 255) seen = 81;
        else if (bvalid && b_count == written) seen = 82;
        else if (bvalid && bid != 0) seen = 83;
        else if (aw_count - b_count > OUTSTANDING) seen = 84;
        else if (rvalid && r_count == ar_count) seen = 91;
        else if (rvalid && rlast != (r_beat == ar_lengths[r_count[9:0]])) seen = 92;
        else if (rvalid && rid != 0) seen = 93;
        else if (ar_count - r_count > OUTSTANDING) seen = 94;
    end
    always @(posedge clk) begin
        if (awvalid && awready) begin
            aw_lengths[aw_count[9:0]] <= awlen;
            aw_count <= aw_count + 1;
        end
        if (wvalid && wready) begin
            w_beat <= wlast ? 0 : w_beat + 1;
            if (wlast) begin
                w_lengths[w_count[9:0]] <= w_beat[7:0];
                w_count <= w_count + 1;
            end
        end
        if (checked != written) checked <= checked + 1;
        if (bvalid && bready) b_count <= b_count + 1;
        if (arvalid && arready) begin
            ar_lengths[ar_count[9:0]] <= arlen;
            ar_count <= ar_count + 1;
        end
        if (rvalid && rready) begin
            r_beat <= rlast ? 0 : r_beat + 1;
            if (rlast) r_count <= r_count + 1;
        end
        resetting <= rst;
        if (rst && !resetting) fault <= 0;
        else if (fault == 0) fault <= seen;
        if (rst) begin
            {aw_count, w_count, b_count, ar_count, r_count, checked} <= 0;
            w_beat <= 0;
            r_beat <= 0;
        end
    end
    initial begin
        fault = 0;
        {aw_count, w_count, b_count, ar_count, r_count, checked} = 0;
        w_beat = 0;
        r_beat = 0;
    end
endmodule
