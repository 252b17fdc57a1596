// Drives the valid/ready streams of one Verilated model from arrays of beats.
// Compiled together with the model; the stream table below is filled in by native.py.
#include <cstdint>
#include <cstring>
#include <memory>

#include "Vmodel.h"
#include "verilated.h"
#if TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

struct Port {
    bool input;
    uint32_t beat_bytes;
    CData* valid;
    CData* ready;
    void* payload;
};

struct Model {
    VerilatedContext context;
    std::unique_ptr<Vmodel> top;
    uint64_t time = 0;
#if TRACE
    std::unique_ptr<VerilatedVcdC> trace;
#endif

    void half(int clock) {
        top->clk = clock;
        top->eval();
#if TRACE
        if (trace) trace->dump(time);
        time += 5;
#endif
    }
};

// xorshift64*: the stalls of a run depend on its seed alone.
struct Random {
    uint64_t state;
    uint32_t byte() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return static_cast<uint32_t>((state * 2685821657736338717ull) >> 56);
    }
};

void ports(Vmodel* top, Port* table) {
    (void)top;
    int i = 0;
    /*STREAMS*/
    (void)i;
}

}  // namespace

extern "C" {

// One stream of a run: `beats` holds `count` beats; `position` of them have moved. A stream stalls
// in `stall` of 256 cycles.
struct Stream {
    uint8_t* beats;
    uint64_t count;
    uint64_t position;
    uint32_t stall;
};

enum Status { DONE = 0, STUCK = 1, VALID_DROPPED = 2, PAYLOAD_CHANGED = 3 };

Model* model_new(const char* waves) {
    auto* model = new Model;
    model->context.randReset(0);
#if TRACE
    model->context.traceEverOn(waves != nullptr);
#endif
    model->top = std::make_unique<Vmodel>(&model->context);
#if TRACE
    if (waves) {
        model->trace = std::make_unique<VerilatedVcdC>();
        model->top->trace(model->trace.get(), 99);
        model->trace->open(waves);
    }
#else
    (void)waves;
#endif
    return model;
}

void model_delete(Model* model) {
#if TRACE
    if (model->trace) model->trace->close();
#endif
    model->top->final();
    delete model;
}

void model_reset(Model* model, uint32_t cycles) {
    Port table[STREAM_COUNT];
    ports(model->top.get(), table);
    for (Port& port : table) *(port.input ? port.valid : port.ready) = 0;
    model->top->rst = 1;
    for (uint32_t i = 0; i < cycles; ++i) {
        model->half(0);
        model->half(1);
    }
    model->top->rst = 0;
    model->half(0);
}

// Runs until every output has its beats, or `limit` cycles have passed, or nothing has moved for
// `patience` cycles. Returns a Status; *cycles counts, *stream names the offending stream.
int model_run(Model* model, Stream* streams, uint64_t seed, uint64_t limit, uint64_t patience,
              uint64_t* cycles, uint32_t* stream) {
    Port table[STREAM_COUNT];
    ports(model->top.get(), table);
    Random random{seed * 2 + 1};
    bool offered[STREAM_COUNT] = {};
    uint8_t held[STREAM_COUNT][MAX_BEAT_BYTES] = {};
    uint64_t idle = 0;
    for (uint64_t cycle = 0;; ++cycle) {
        *cycles = cycle;
        bool complete = true;
        for (int i = 0; i < STREAM_COUNT; ++i)
            if (!table[i].input && streams[i].position < streams[i].count) complete = false;
        if (complete || cycle == limit) return complete ? DONE : STUCK;
        if (idle > patience) return STUCK;
        for (int i = 0; i < STREAM_COUNT; ++i) {
            Port& port = table[i];
            Stream& s = streams[i];
            const bool stall = s.stall && random.byte() < s.stall;
            if (!port.input) {
                *port.ready = !stall && s.position < s.count;
            } else if (!offered[i]) {
                // An offered beat stays; a new one may come late.
                offered[i] = s.position < s.count && !stall;
                *port.valid = offered[i];
                if (offered[i])
                    std::memcpy(port.payload, s.beats + s.position * port.beat_bytes,
                                port.beat_bytes);
            }
        }
        model->half(0);
        ++idle;
        for (int i = 0; i < STREAM_COUNT; ++i) {
            Port& port = table[i];
            Stream& s = streams[i];
            const bool moves = *port.valid && *port.ready;
            if (!port.input) {
                *stream = i;
                if (offered[i] && !*port.valid) return VALID_DROPPED;
                if (offered[i] && std::memcmp(held[i], port.payload, port.beat_bytes))
                    return PAYLOAD_CHANGED;
                if (moves)
                    std::memcpy(s.beats + s.position * port.beat_bytes, port.payload,
                                port.beat_bytes);
                offered[i] = *port.valid && !moves;
                if (offered[i]) std::memcpy(held[i], port.payload, port.beat_bytes);
            } else if (moves) {
                offered[i] = false;
            }
            if (moves) {
                ++s.position;
                idle = 0;
            }
        }
        model->half(1);
    }
}

}  // extern "C"
