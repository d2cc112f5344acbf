// Drives the Verilated core from queues: whole chunks go in, whole messages come out, one call from Python moves them all.
// Verilator spells a double underscore in a port's name ___05F. The widths of the payloads come from the build (-D): they are those of tag34_hdl.layouts.Shape.
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Vtag34_core.h"
#include "verilated.h"

namespace {

// A payload port is an integer or an array of 32-bit words, depending on its width. What goes in is packed once, before its turn comes.
struct Packed {
    uint32_t words[4] = {};
    void put(unsigned low, unsigned bits, uint64_t value) {
        for (unsigned i = 0; i < bits; i++) words[(low + i) / 32] |= uint32_t(value >> i & 1) << ((low + i) % 32);
    }
};
template <typename T> void offer(T& port, const Packed& packed) {
    port = T(packed.words[0] | uint64_t(packed.words[1]) << 32);
}
template <std::size_t N> void offer(VlWide<N>& port, const Packed& packed) {
    for (std::size_t i = 0; i < N; i++) port[i] = packed.words[i];
}
template <typename T> uint64_t get(const T& port, unsigned low, unsigned bits) {
    return (uint64_t(port) >> low) & (bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1);
}
template <std::size_t N> uint64_t get(const VlWide<N>& port, unsigned low, unsigned bits) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bits; i++) value |= uint64_t(port[(low + i) / 32] >> ((low + i) % 32) & 1) << i;
    return value;
}

constexpr unsigned COUNT_AT = 8 * WIDTH, SESSION_AT = COUNT_AT + COUNT_BITS, LAST_AT = SESSION_AT + SESSION_BITS;
constexpr unsigned RECORD_WORDS = (RECORD_BITS + 31) / 32;

// Messages that came out: all bytes in a row, and where each message ends.
struct Output {
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> ends;
};

struct Core {
    VerilatedContext context;
    Vtag34_core top{&context, "core"};
    std::deque<Packed> rx, body, headers;
    Output deliver, tx;
    std::vector<uint8_t> records;
    uint64_t cycles = 0;
    uint64_t random = 88172645463325252ull;
    unsigned stall_in = 0, stall_out = 0;  // of 256
    bool rx_offered = false, body_offered = false, header_offered = false;

    Core() {
        top.clk = 0;
        top.rst = 1;
        top.eval();
        clock();
        clock();
        top.rst = 0;
        top.eval();
    }
    ~Core() { top.final(); }

    // Nothing in the design looks at the falling edge: it comes along with the next inputs.
    void clock() {
        top.clk = 1;
        top.eval();
        top.clk = 0;
        cycles++;
    }
    bool chance(unsigned of256) {
        if (!of256) return false;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return (random >> 24 & 255) < of256;
    }
    template <typename P> void collect(Output& out, const P& payload) {
        const uint64_t data = get(payload, 0, 8 * WIDTH);
        const unsigned count = get(payload, COUNT_AT, COUNT_BITS);
        for (unsigned i = 0; i < count; i++) out.bytes.push_back(data >> (8 * i) & 255);
        if (get(payload, LAST_AT, 1)) out.ends.push_back(out.bytes.size());
    }

    // One cycle. What is offered stays offered until it is taken, whatever the dice say.
    void step() {
        if (!rx_offered && !rx.empty() && !chance(stall_in)) {
            rx_offered = true;
            offer(top.rx___05Fpayload, rx.front());
        }
        if (!body_offered && !body.empty() && !chance(stall_in)) {
            body_offered = true;
            offer(top.send_body___05Fpayload, body.front());
        }
        if (!header_offered && !headers.empty() && !chance(stall_in)) {
            header_offered = true;
            offer(top.send_header___05Fpayload, headers.front());
        }
        top.rx___05Fvalid = rx_offered;
        top.send_body___05Fvalid = body_offered;
        top.send_header___05Fvalid = header_offered;
        top.deliver___05Fready = !chance(stall_out);
        top.tx___05Fready = !chance(stall_out);
        top.records___05Fready = !chance(stall_out);
        top.eval();
        if (rx_offered && top.rx___05Fready) {
            rx.pop_front();
            rx_offered = false;
        }
        if (body_offered && top.send_body___05Fready) {
            body.pop_front();
            body_offered = false;
        }
        if (header_offered && top.send_header___05Fready) {
            headers.pop_front();
            header_offered = false;
        }
        if (top.deliver___05Fvalid && top.deliver___05Fready) collect(deliver, top.deliver___05Fpayload);
        if (top.tx___05Fvalid && top.tx___05Fready) collect(tx, top.tx___05Fpayload);
        if (top.records___05Fvalid && top.records___05Fready) {
            uint32_t words[RECORD_WORDS];
            for (unsigned i = 0; i < RECORD_WORDS; i++) words[i] = top.records___05Fpayload[i];
            const uint8_t* raw = reinterpret_cast<const uint8_t*>(words);
            records.insert(records.end(), raw, raw + RECORD_BYTES);
        }
        clock();
    }
    bool rests() const { return rx.empty() && body.empty() && headers.empty() && top.idle; }
};

void push_beats(std::deque<Packed>& queue, uint16_t session, const uint8_t* bytes, size_t size, bool mark_last) {
    for (size_t at = 0; at < size; at += WIDTH) {
        Packed beat;
        size_t count = 0;
        for (; count < WIDTH && at + count < size; count++) beat.put(8 * count, 8, bytes[at + count]);
        beat.put(COUNT_AT, COUNT_BITS, count);
        beat.put(SESSION_AT, SESSION_BITS, session);
        beat.put(LAST_AT, 1, mark_last && at + WIDTH >= size);
        queue.push_back(beat);
    }
}

}  // namespace

extern "C" {

void* tag34_new() { return new Core; }
void tag34_delete(void* handle) { delete static_cast<Core*>(handle); }

void tag34_stalls(void* handle, uint64_t seed, unsigned in, unsigned out) {
    Core& core = *static_cast<Core*>(handle);
    core.random = seed * 2654435769ull + 88172645463325252ull;
    core.stall_in = in;
    core.stall_out = out;
}

void tag34_receive(void* handle, uint16_t session, const uint8_t* bytes, size_t size) {
    push_beats(static_cast<Core*>(handle)->rx, session, bytes, size, false);
}

void tag34_send(void* handle, uint16_t session, uint32_t msg_type, int replay, uint64_t seq, const uint8_t* bytes, size_t size) {
    Core& core = *static_cast<Core*>(handle);
    Packed header;
    header.put(0, SESSION_BITS, session);
    header.put(SESSION_BITS, 32, msg_type);
    header.put(SESSION_BITS + 32, 1, replay != 0);
    header.put(SESSION_BITS + 33, 40, seq);
    header.put(SESSION_BITS + 73, 1, size != 0);
    core.headers.push_back(header);
    push_beats(core.body, session, bytes, size, true);
}

void tag34_write(void* handle, unsigned address, uint32_t value) {
    Core& core = *static_cast<Core*>(handle);
    core.top.address = address;
    core.top.write_data = value;
    core.top.write = 1;
    core.step();
    core.top.write = 0;
}

uint32_t tag34_read(void* handle, unsigned address) {
    Core& core = *static_cast<Core*>(handle);
    core.top.address = address;
    core.top.read = 1;
    core.step();
    core.top.read = 0;
    core.step();
    return core.top.read_data;
}

// Runs until everything is at rest. Returns the number of cycles, or -1 if `limit` cycles were not enough.
int64_t tag34_run(void* handle, int64_t limit) {
    Core& core = *static_cast<Core*>(handle);
    for (int64_t cycle = 0; cycle < limit; cycle++) {
        core.top.eval();
        if (core.rests()) return cycle;
        core.step();
    }
    return -1;
}

// What came out. `what`: 0 records, 1 deliver bytes, 2 deliver ends (32 bit), 3 tx bytes, 4 tx ends. The pointer is good until tag34_clear or
// the next run.
const void* tag34_output(void* handle, int what, size_t* size) {
    Core& core = *static_cast<Core*>(handle);
    const std::vector<uint8_t>* bytes[] = {&core.records, &core.deliver.bytes, nullptr, &core.tx.bytes, nullptr};
    const std::vector<uint32_t>* ends[] = {nullptr, nullptr, &core.deliver.ends, nullptr, &core.tx.ends};
    if (bytes[what]) {
        *size = bytes[what]->size();
        return bytes[what]->data();
    }
    *size = ends[what]->size() * sizeof(uint32_t);
    return ends[what]->data();
}

void tag34_clear(void* handle) {
    Core& core = *static_cast<Core*>(handle);
    core.records.clear();
    for (Output* out : {&core.deliver, &core.tx}) {
        // An unfinished message stays.
        const uint32_t end = out->ends.empty() ? 0 : out->ends.back();
        out->bytes.erase(out->bytes.begin(), out->bytes.begin() + end);
        out->ends.clear();
    }
}

uint64_t tag34_cycle_count(void* handle) { return static_cast<Core*>(handle)->cycles; }
}
