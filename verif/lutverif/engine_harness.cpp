// A memory behind the streams of an engine; follows harness.cpp in the same file.
#include <deque>

namespace {

// The streams in the order of the engine's ports.
enum { START, STATUS, READS, READ_DATA, WRITES, WRITE_DATA, WRITE_DONE };

struct Request {
    uint64_t address, words, ready;
};

uint64_t bits(const uint8_t* from, uint32_t low, uint32_t count) {
    uint64_t value = 0;
    for (uint32_t i = 0; i < count; ++i)
        value |= uint64_t(from[(low + i) / 8] >> ((low + i) % 8) & 1) << i;
    return value;
}

}  // namespace

extern "C" {

struct Memory {
    uint8_t* bytes;
    uint64_t size;
    uint64_t bad;  // an access to the word at this address is an error; none is at ~0
    uint32_t word_bytes, address_bits, length_bits;
    uint32_t latency;  // cycles from a request to its data, or from its data to the response, at most
    uint32_t stall;    // of 256 cycles, those in which each channel does nothing
};

enum { ENGINE_DONE, ENGINE_STUCK, ENGINE_VALID, ENGINE_PAYLOAD, ENGINE_REQUEST, ENGINE_ORDER,
       ENGINE_LEFT };

// Starts the engine and runs it until it has given its status.
int engine_run(Model* model, Memory* memory, const uint8_t* start, uint8_t* status, uint64_t seed,
               uint64_t limit, uint64_t* cycles) {
    Port table[STREAM_COUNT];
    ports(model->top.get(), table);
    Random random{seed * 2 + 1};
    std::deque<Request> reads, writes;
    std::deque<std::pair<uint64_t, bool>> responses;
    bool offered[STREAM_COUNT] = {}, started = false, bad_write = false;
    uint8_t held[STREAM_COUNT][MAX_BEAT_BYTES] = {};
    const uint32_t step = memory->word_bytes;
    for (uint64_t cycle = 0; cycle < limit; ++cycle) {
        *cycles = cycle;
        auto stalls = [&] { return memory->stall && random.byte() < memory->stall; };
        auto later = [&] { return cycle + (memory->latency ? random.byte() % memory->latency : 0); };
        auto offer = [&](int i, bool valid, const uint8_t* payload) {
            if (offered[i]) return;
            offered[i] = valid && !stalls();
            *table[i].valid = offered[i];
            if (offered[i]) std::memcpy(table[i].payload, payload, table[i].beat_bytes);
        };
        offer(START, !started, start);
        uint8_t word[MAX_BEAT_BYTES] = {};
        if (!reads.empty() && !offered[READ_DATA]) {
            std::memcpy(word, memory->bytes + reads[0].address, step);
            word[step] = (reads[0].words == 1) | (reads[0].address == memory->bad) << 1;
        }
        offer(READ_DATA, !reads.empty() && reads[0].ready <= cycle, word);
        uint8_t response[MAX_BEAT_BYTES] = {};
        if (!responses.empty()) response[0] = responses[0].second;
        offer(WRITE_DONE, !responses.empty() && responses[0].first <= cycle, response);
        *table[STATUS].ready = !stalls();
        *table[READS].ready = !stalls();
        *table[WRITES].ready = !stalls();
        *table[WRITE_DATA].ready = !writes.empty() && !stalls();
        model->half(0);
        for (int i : {STATUS, READS, WRITES, WRITE_DATA}) {
            const Port& port = table[i];
            if (offered[i] && !*port.valid) return ENGINE_VALID;
            if (offered[i] && std::memcmp(held[i], port.payload, port.beat_bytes))
                return ENGINE_PAYLOAD;
            offered[i] = *port.valid && !*port.ready;
            if (offered[i]) std::memcpy(held[i], port.payload, port.beat_bytes);
        }
        auto moves = [&](int i) { return *table[i].valid && *table[i].ready; };
        const bool done = moves(STATUS);
        if (done) std::memcpy(status, table[STATUS].payload, table[STATUS].beat_bytes);
        if (moves(START)) started = true, offered[START] = false;
        if (moves(READ_DATA)) {
            offered[READ_DATA] = false;
            reads[0].address += step;
            if (--reads[0].words == 0) reads.pop_front();
        }
        if (moves(WRITE_DONE)) offered[WRITE_DONE] = false, responses.pop_front();
        if (moves(WRITE_DATA)) {
            const auto* payload = static_cast<const uint8_t*>(table[WRITE_DATA].payload);
            for (uint32_t i = 0; i < step; ++i)
                if (bits(payload, 8 * step + i, 1)) memory->bytes[writes[0].address + i] = payload[i];
            bad_write |= writes[0].address == memory->bad;
            writes[0].address += step;
            if (--writes[0].words == 0) {
                writes.pop_front();
                responses.emplace_back(later(), bad_write);
                bad_write = false;
            }
        }
        for (const bool write : {false, true}) {
            const int i = write ? WRITES : READS;
            if (!moves(i)) continue;
            const auto* payload = static_cast<const uint8_t*>(table[i].payload);
            const uint32_t a = memory->address_bits;
            Request request{bits(payload, 0, a), bits(payload, a, memory->length_bits) + 1, later()};
            if (request.address % step || request.address + request.words * step > memory->size)
                return ENGINE_REQUEST;
            if (write ? !reads.empty() : !writes.empty() || !responses.empty()) return ENGINE_ORDER;
            (write ? writes : reads).push_back(request);
        }
        model->half(1);
        if (done)
            return reads.empty() && writes.empty() && responses.empty() ? ENGINE_DONE : ENGINE_LEFT;
    }
    return ENGINE_STUCK;
}

}  // extern "C"
