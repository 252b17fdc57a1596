// Random requests on a memory port against a random AXI4 slave, every beat accounted for.
// Compiled by lutverif.axi with the Verilated master and its protocol monitor; DATA_BYTES,
// ADDRESS_BYTES, LENGTH_BYTES, LENGTH_BITS and MAX_BEATS come from there.
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "Vmodel.h"
#include "verilated.h"

namespace {

constexpr uint64_t PHASE = 2000;     // cycles with the same slave, rates of stalls and errors
constexpr uint64_t PATIENCE = 1000;  // cycles without a beat, below a phase, that count as stuck
constexpr uint64_t FLUSH_EVERY = 3000;
constexpr uint64_t ADDRESS_LIMIT = ADDRESS_BYTES >= 8 ? ~0ull : (1ull << (8 * ADDRESS_BYTES)) - 1;
constexpr uint64_t LONGEST = LENGTH_BITS >= 10 ? 600 : 1ull << LENGTH_BITS;

// xorshift64*: a run depends on its seed alone.
struct Random {
    uint64_t state;
    uint64_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 2685821657736338717ull;
    }
    uint64_t below(uint64_t limit) { return (next() >> 11) % limit; }
    bool chance(uint32_t of_256) { return (next() >> 56) < of_256; }
    void fill(uint8_t* bytes, int count) {
        for (int i = 0; i < count; i += 8) {
            const uint64_t word = next();
            std::memcpy(bytes + i, &word, count - i < 8 ? count - i : 8);
        }
    }
};

struct Beat {
    uint8_t data[DATA_BYTES] = {};
    uint8_t strobe[(DATA_BYTES + 7) / 8] = {};
    bool last = false;
    bool error = false;
};

struct Request {
    uint64_t address = 0;
    uint64_t beats = 0;
};

enum Channel { READS, READ_DATA, WRITES, WRITE_DATA, WRITE_DONE, AR, R, AW, W, B, CHANNELS };
const char* const NAMES[CHANNELS] = {"i_reads", "o_read_data", "i_writes", "i_write_data",
                                     "o_write_done", "AR", "R", "AW", "W", "B"};

template <typename T>
void put(T& port, const void* bytes, size_t count) {
    std::memcpy(&port, bytes, count);
}

template <typename T>
uint64_t get(const T& port) {
    uint64_t value = 0;
    std::memcpy(&value, &port, sizeof port < 8 ? sizeof port : 8);
    return value;
}

}  // namespace

extern "C" {

struct Statistics {
    uint64_t cycles, reads, writes, read_bursts, write_bursts, read_beats, write_beats;
    uint64_t read_errors, write_errors, flushes;
    uint64_t moved[CHANNELS], stalled[CHANNELS];
};

// Runs until `transactions` bursts have been answered and all work is done. 0, or 1 with a message.
int axi_run(uint64_t seed, uint64_t transactions, Statistics* statistics, char* message,
            uint32_t size) {
    Statistics& s = *statistics;
    s = Statistics{};
    VerilatedContext context;
    context.randReset(0);
    auto top = std::make_unique<Vmodel>(&context);
    Random random{seed * 2 + 1};
    for (int i = 0; i < 8; ++i) random.next();

    const auto fail = [&](const char* format, ...) {
        va_list arguments;
        va_start(arguments, format);
        const int used = std::snprintf(message, size, "cycle %llu: ",
                                       static_cast<unsigned long long>(s.cycles));
        std::vsnprintf(message + used, size - used, format, arguments);
        va_end(arguments);
        top->final();
        return 1;
    };

    // What the master shows on the bus: it may not change between two rising edges.
    const auto shown = [&](uint8_t* to) {
        const auto add = [&](const auto& port) {
            std::memcpy(to, &port, sizeof port);
            to += sizeof port;
        };
        add(top->m_axi_arvalid), add(top->m_axi_araddr), add(top->m_axi_arlen);
        add(top->m_axi_rready), add(top->m_axi_awvalid), add(top->m_axi_awaddr);
        add(top->m_axi_awlen), add(top->m_axi_wvalid), add(top->m_axi_wdata);
        add(top->m_axi_wstrb), add(top->m_axi_wlast), add(top->m_axi_bready);
        return to;
    };
    uint8_t before[2048], after[2048];

    // Of the port: what it has been given and what it owes.
    std::deque<Request> reads, writes;      // rest that has no burst yet
    std::deque<uint64_t> read_lengths;      // beats that the port still owes of every read
    std::deque<Beat> write_beats;           // taken from the port, not yet on the bus
    std::deque<Beat> read_beats;            // taken from the bus, not yet on the port
    std::deque<bool> done;                  // errors of writes whose responses have come
    uint64_t beats_due = 0;                 // beats of accepted writes not yet offered
    // Of the slave.
    std::deque<Request> ar_queue;
    std::deque<bool> write_ends;            // of bursts without a response: do they end a write
    uint64_t aw_taken = 0, w_taken = 0, b_given = 0;
    bool write_failed = false;
    Beat r_beat;
    bool b_error = false;

    bool offer[CHANNELS] = {};
    Request request[2];
    Beat write_beat;
    uint32_t stall[CHANNELS] = {};
    uint32_t error_rate = 0, mode = 0;
    bool saw_wvalid = false, flush = false;
    uint64_t flush_at = FLUSH_EVERY / 2, idle[2] = {};

    top->rst = 1;
    for (int i = 0; i < 3; ++i) {
        top->clk = 0, top->eval();
        top->clk = 1, top->eval();
    }
    top->rst = 0;
    top->eval();

    for (;; ++s.cycles) {
        if (s.cycles % PHASE == 0) {
            static const uint32_t rates[] = {0, 0, 64, 128, 200, 240};
            for (uint32_t& rate : stall) rate = rates[random.below(6)];
            error_rate = (const uint32_t[]){0, 1, 40}[random.below(3)];
            mode = random.below(3);
        }
        const bool stop = s.read_bursts + s.write_bursts >= transactions;
        const bool empty = reads.empty() && writes.empty() && read_lengths.empty() &&
                           write_beats.empty() && write_ends.empty() && done.empty() &&
                           !beats_due && !offer[READS] && !offer[WRITES] && !offer[WRITE_DATA];
        if (stop && empty && top->o_idle && !flush) break;
        if (idle[0] > PATIENCE || idle[1] > PATIENCE)
            return fail("stuck: %s do not move", idle[0] > PATIENCE ? "reads" : "writes");

        shown(before);
        // Soft reset: the port forgets everything, the bus finishes.
        if (!flush && s.cycles >= flush_at && !stop) {
            flush = true;
            offer[READS] = offer[WRITES] = offer[WRITE_DATA] = false;
            beats_due = 0;
            ++s.flushes;
        } else if (flush && top->o_idle) {
            if (!write_beats.empty()) return fail("idle, and a beat of a write is lost");
            if (!ar_queue.empty() || offer[R] || aw_taken != w_taken || aw_taken != b_given)
                return fail("idle with a burst in flight");
            flush = false;
            flush_at = s.cycles + 1 + random.below(2 * FLUSH_EVERY);
            reads.clear(), writes.clear(), read_lengths.clear();
            read_beats.clear(), done.clear();
            write_failed = false;
        }
        top->i_flush = flush;

        // Drive. An offer stays until it moves; a payload without one is noise.
        for (int i = 0; i < 2; ++i) {
            const int channel = i ? WRITES : READS;
            if (!offer[channel]) {
                offer[channel] = !flush && !stop && !random.chance(stall[channel]) &&
                                 (i ? writes.size() : reads.size()) < 8;
                uint64_t beats = 1 + random.below(random.below(4) ? 4 : 3 * MAX_BEATS);
                if (random.below(64) == 0) beats = 1 + random.below(LONGEST);
                if (beats > LONGEST) beats = LONGEST;
                uint64_t address = random.next() & ADDRESS_LIMIT;
                // Half of them begin near a border of 4 KiB.
                if (random.chance(128)) address = (address | 4095) - random.below(512);
                if (address > ADDRESS_LIMIT - LONGEST * DATA_BYTES)
                    address -= LONGEST * DATA_BYTES;
                request[i] = Request{address / DATA_BYTES * DATA_BYTES, beats};
                uint8_t bytes[16] = {};
                const uint64_t length = beats - 1;
                std::memcpy(bytes, &request[i].address, ADDRESS_BYTES);
                std::memcpy(bytes + ADDRESS_BYTES, &length, LENGTH_BYTES);
                if (i)
                    put(top->i_writes__payload, bytes, ADDRESS_BYTES + LENGTH_BYTES);
                else
                    put(top->i_reads__payload, bytes, ADDRESS_BYTES + LENGTH_BYTES);
            }
        }
        if (!offer[WRITE_DATA]) {
            // Data may come before its request.
            offer[WRITE_DATA] = !flush && !random.chance(stall[WRITE_DATA]) &&
                                (beats_due || (!stop && random.chance(16)));
            uint8_t bytes[DATA_BYTES + sizeof write_beat.strobe];
            random.fill(write_beat.data, DATA_BYTES);
            const int kind = random.below(4);
            if (kind < 2)
                random.fill(write_beat.strobe, sizeof write_beat.strobe);
            else
                std::memset(write_beat.strobe, kind == 2 ? 0 : 255, sizeof write_beat.strobe);
            if (DATA_BYTES < 8) write_beat.strobe[0] &= (1 << (DATA_BYTES & 7)) - 1;
            std::memcpy(bytes, write_beat.data, DATA_BYTES);
            std::memcpy(bytes + DATA_BYTES, write_beat.strobe, sizeof write_beat.strobe);
            put(top->i_write_data__payload, bytes, sizeof bytes);
        }
        if (!offer[R]) {
            offer[R] = !ar_queue.empty() && !random.chance(stall[R]);
            random.fill(r_beat.data, DATA_BYTES);
            r_beat.error = random.chance(error_rate);
            r_beat.last = offer[R] ? ar_queue.front().beats == 1 : random.chance(128);
            put(top->m_axi_rdata, r_beat.data, DATA_BYTES);
            top->m_axi_rlast = r_beat.last;
            top->m_axi_rresp = (r_beat.error ? 2 : 0) + random.below(2);
            top->m_axi_rid = offer[R] ? 0 : random.below(2);
        }
        if (!offer[B]) {
            offer[B] = b_given < aw_taken && b_given < w_taken && !random.chance(stall[B]);
            b_error = random.chance(error_rate);
            top->m_axi_bresp = (b_error ? 2 : 0) + random.below(2);
            top->m_axi_bid = offer[B] ? 0 : random.below(2);
        }
        top->i_reads__valid = offer[READS];
        top->i_writes__valid = offer[WRITES];
        top->i_write_data__valid = offer[WRITE_DATA];
        top->m_axi_rvalid = offer[R];
        top->m_axi_bvalid = offer[B];
        top->o_read_data__ready = !random.chance(stall[READ_DATA]);
        top->o_write_done__ready = !random.chance(stall[WRITE_DONE]);
        top->m_axi_arready = !random.chance(stall[AR]) && ar_queue.size() < 64;
        // A slave may take an address only with its data, or data only after its address.
        top->m_axi_awready = !random.chance(stall[AW]) && aw_taken - b_given < 64 &&
                             (mode != 1 || saw_wvalid || aw_taken < w_taken);
        top->m_axi_wready = !random.chance(stall[W]) && (mode != 2 || aw_taken > w_taken);

        top->clk = 0, top->eval();
        const size_t bytes = shown(after) - after;
        if (std::memcmp(before, after, bytes))
            return fail("an output to the bus follows an input within a cycle");
        saw_wvalid = top->m_axi_wvalid;

        const bool valid[CHANNELS] = {
            offer[READS], !!top->o_read_data__valid, offer[WRITES], offer[WRITE_DATA],
            !!top->o_write_done__valid, !!top->m_axi_arvalid, offer[R], !!top->m_axi_awvalid,
            !!top->m_axi_wvalid, offer[B]};
        const bool ready[CHANNELS] = {
            !!top->i_reads__ready, !!top->o_read_data__ready, !!top->i_writes__ready,
            !!top->i_write_data__ready, !!top->o_write_done__ready, !!top->m_axi_arready,
            !!top->m_axi_rready, !!top->m_axi_awready, !!top->m_axi_wready, !!top->m_axi_bready};
        bool moves[CHANNELS];
        bool moved[2] = {};  // reads, writes
        for (int i = 0; i < CHANNELS; ++i) {
            moves[i] = valid[i] && ready[i];
            s.moved[i] += moves[i];
            s.stalled[i] += valid[i] && !ready[i];
            if (moves[i]) offer[i] = false;
            moved[i >= AW || (i >= WRITES && i <= WRITE_DONE)] |= moves[i];
        }
        const bool due[2] = {
            !read_lengths.empty(),
            beats_due || !writes.empty() || !write_ends.empty() || !done.empty()};
        for (int i = 0; i < 2; ++i) {
            // In a soft reset one side may be done and wait for the other.
            const bool waits = flush ? !moved[0] && !moved[1] : due[i] && !moved[i];
            idle[i] = waits ? idle[i] + 1 : 0;
        }
        if (flush && (moves[READS] || moves[WRITES] || moves[WRITE_DATA] ||
                      valid[READ_DATA] || valid[WRITE_DONE]))
            return fail("a stream of the port moves in a flush");

        // Outputs of the port, against what had come before this cycle.
        if (valid[READ_DATA]) {
            if (read_beats.empty()) return fail("o_read_data: a beat too many");
            uint8_t got[DATA_BYTES + 4] = {};
            std::memcpy(got, &top->o_read_data__payload, DATA_BYTES + 1);
            const Beat& want = read_beats.front();
            if (std::memcmp(got, want.data, DATA_BYTES)) return fail("o_read_data: wrong data");
            const bool last = read_lengths.front() == 1;
            if ((got[DATA_BYTES] & 1) != last) return fail("o_read_data: wrong last");
            if ((got[DATA_BYTES] >> 1 & 1) != want.error) return fail("o_read_data: wrong error");
            if (moves[READ_DATA]) {
                read_beats.pop_front();
                s.read_errors += want.error;
                if (--read_lengths.front() == 0) read_lengths.pop_front();
            }
        }
        if (valid[WRITE_DONE]) {
            if (done.empty()) return fail("o_write_done: an answer too many");
            if ((get(top->o_write_done__payload) & 1) != done.front())
                return fail("o_write_done: wrong error");
            if (moves[WRITE_DONE]) {
                s.write_errors += done.front();
                done.pop_front();
            }
        }
        // The bus.
        if (moves[AR] || moves[AW]) {
            for (int i = 0; i < 2; ++i) {
                if (!moves[i ? AW : AR]) continue;
                std::deque<Request>& queue = i ? writes : reads;
                const uint64_t address = i ? get(top->m_axi_awaddr) : get(top->m_axi_araddr);
                const uint64_t beats = 1ull + (i ? top->m_axi_awlen : top->m_axi_arlen);
                const char* name = NAMES[i ? AW : AR];
                if (queue.empty()) return fail("%s: a burst without a request", name);
                Request& rest = queue.front();
                if (address != rest.address || beats > rest.beats)
                    return fail("%s: %llu beats at %llx, where %llu are due at %llx", name,
                                (unsigned long long)beats, (unsigned long long)address,
                                (unsigned long long)rest.beats, (unsigned long long)rest.address);
                rest.address += beats * DATA_BYTES;
                rest.beats -= beats;
                const bool ends = rest.beats == 0;
                if (ends) queue.pop_front();
                if (i) {
                    write_ends.push_back(ends);
                    ++aw_taken, ++s.write_bursts;
                } else {
                    ar_queue.push_back(Request{address, beats});
                    ++s.read_bursts;
                }
            }
        }
        if (moves[W]) {
            uint8_t strobe[8] = {}, none[8] = {};
            std::memcpy(strobe, &top->m_axi_wstrb, sizeof write_beat.strobe);
            if (write_beats.empty()) {
                if (!flush) return fail("W: a beat that the port did not give");
                if (std::memcmp(strobe, none, 8)) return fail("W: a beat of a flush with strobes");
            } else {
                const Beat& want = write_beats.front();
                if (std::memcmp(&top->m_axi_wdata, want.data, DATA_BYTES))
                    return fail("W: wrong data");
                if (std::memcmp(strobe, want.strobe, sizeof want.strobe))
                    return fail("W: wrong strobes");
                write_beats.pop_front();
                ++s.write_beats;
            }
            w_taken += top->m_axi_wlast;
        }
        if (moves[R]) {
            if (!flush) read_beats.push_back(r_beat);
            ++s.read_beats;
            if (--ar_queue.front().beats == 0) ar_queue.pop_front();
        }
        if (moves[B]) {
            ++b_given;
            write_failed |= b_error;
            if (write_ends.front()) {
                if (!flush) done.push_back(write_failed);
                write_failed = false;
            }
            write_ends.pop_front();
        }
        // Inputs of the port.
        if (moves[READS]) {
            reads.push_back(request[0]);
            read_lengths.push_back(request[0].beats);
            ++s.reads;
        }
        if (moves[WRITES]) {
            writes.push_back(request[1]);
            beats_due += request[1].beats;
            ++s.writes;
        }
        if (moves[WRITE_DATA]) {
            if (!beats_due) return fail("i_write_data: a beat is taken without a write");
            --beats_due;
            write_beats.push_back(write_beat);
        }

        top->clk = 1, top->eval();
        if (top->fault) return fail("fault %d", static_cast<int>(top->fault));
    }
    if (offer[R] || offer[B] || !ar_queue.empty() || !read_beats.empty())
        return fail("idle with a burst in flight");
    top->final();
    return 0;
}

}  // extern "C"
