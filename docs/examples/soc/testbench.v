// Runs the program of gemm.py: memory from before.hex, and afterwards to after.hex.
`include "program.vh"
module testbench;
  reg clk = 0, rst = 1;
  wire irq, done;
  wire [7:0] cause;
  integer cycles = 0;

  soc #(
      .PROGRAM_BASE(`PROGRAM_BASE),
      .PROGRAM_LENGTH(`PROGRAM_LENGTH),
      .WORDS(`WORDS)
  ) soc (
      .clk(clk),
      .rst(rst),
      .irq(irq),
      .done(done),
      .cause(cause)
  );

  always #5 clk = !clk;

  initial begin
    $readmemh("before.hex", soc.memory.words);
    repeat (2) @(negedge clk);
    rst = 0;
    while (!done && cycles < 100000) begin
      @(posedge clk);
      cycles = cycles + 1;
    end
    $writememh("after.hex", soc.memory.words);
    $display("done %0d, irq %0d, cause %0d after %0d cycles", done, irq, cause, cycles);
    $finish;
  end
endmodule
