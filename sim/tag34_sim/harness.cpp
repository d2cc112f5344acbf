// Drives the Verilated core from queues: whole chunks go in, whole messages come out, one call from Python moves them all.
// The core stands in a ring of registers (harness.v): a cycle is one evaluation. The widths come from the build (-D): they are those of tag34_hdl.layouts.Shape.
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Vtag34_harness.h"
#include "verilated.h"

namespace {

// Bytes on their way into the core: of one session, handed out beat by beat.
struct Chunk {
    uint16_t session;
    bool mark_last;
    std::vector<uint8_t> bytes;
};

struct Header {
    uint16_t session;
    uint32_t msg_type;
    uint64_t seq;
    bool replay, body;
};

struct Beat {
    uint64_t data;
    unsigned count;
    uint16_t session;
    bool last;
};

struct Beats {
    std::deque<Chunk> chunks;
    const uint8_t* next = nullptr;  // of the first chunk
    size_t left = 0;

    bool empty() const { return !left; }
    void push(uint16_t session, const uint8_t* bytes, size_t size, bool mark_last) {
        if (!size) return;
        chunks.push_back({session, mark_last, std::vector<uint8_t>(bytes, bytes + size)});
        if (!left) begin();
    }
    Beat front() const {
        Beat beat{0, unsigned(left < WIDTH ? left : WIDTH), chunks.front().session, chunks.front().mark_last && left <= WIDTH};
        // Most beats are full, and a copy of so many bytes as the compiler knows is one instruction.
        if (left >= WIDTH) std::memcpy(&beat.data, next, WIDTH);
        else std::memcpy(&beat.data, next, left);
        return beat;
    }
    void clear() {
        chunks.clear();
        left = 0;
    }
    void pop() {
        if (left > WIDTH) {
            next += WIDTH;
            left -= WIDTH;
            return;
        }
        chunks.pop_front();
        left = 0;
        if (!chunks.empty()) begin();
    }
    void begin() {
        next = chunks.front().bytes.data();
        left = chunks.front().bytes.size();
    }
};

// Messages that came out: all bytes in a row, where each message ends, and whose it is (of several sessions: SEVERAL).
struct Output {
    static const uint16_t SEVERAL = 0xFFFF;
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> ends;
    std::vector<uint16_t> sessions;
    bool begun = false;
    uint16_t session = 0;  // of the message that has begun

    void collect(uint64_t data, unsigned count, bool last, uint16_t of) {
        const uint8_t* raw = reinterpret_cast<const uint8_t*>(&data);
        bytes.insert(bytes.end(), raw, raw + count);
        session = !begun || session == of ? of : SEVERAL;
        begun = !last;
        if (!last) return;
        ends.push_back(bytes.size());
        sessions.push_back(session);
    }
    // An unfinished message stays.
    void clear() {
        bytes.erase(bytes.begin(), bytes.begin() + (ends.empty() ? 0 : ends.back()));
        ends.clear();
        sessions.clear();
    }
    void drop() {
        bytes.clear();
        ends.clear();
        sessions.clear();
        begun = false;
    }
};

// What is counted of the streams; verilator.py has the same structure, and says what is what.
struct Counts {
    uint64_t cycles, rx_beats, rx_stalls, deliver_beats, tx_beats, deliver_stalls, tx_stalls, records_stalls, rx_first, rx_last;
};

struct Core {
    VerilatedContext context;
    Vtag34_harness top{&context, "core"};
    Beats rx, body;
    std::deque<Header> headers;
    Output deliver, tx;
    std::vector<uint8_t> records;
    Counts counts{};
    uint64_t cycles = 0;
    uint64_t random = 88172645463325252ull;
    unsigned stall_in = 0, stall_out = 0;  // of 256
    bool rx_offered = false, body_offered = false, header_offered = false;
    bool deliver_ready = false, tx_ready = false, records_ready = false;
    bool reading = false;  // a register

    Core() {
        top.clk = 0;
        top.eval();
        reset();
    }
    ~Core() { top.final(); }

    // Whatever was on its way is lost. Afterwards the core is in its first cycle.
    void reset() {
        rx.clear();
        body.clear();
        headers.clear();
        deliver.drop();
        tx.drop();
        records.clear();
        rx_offered = body_offered = header_offered = false;
        top.next_rx_valid = top.next_body_valid = top.next_header_valid = 0;
        top.next_rst = 1;
        for (int i = 0; i < 3; i++) edge();
        top.next_rst = 0;
        edge();
    }

    // Both edges of the harness's clock are rising edges of the core's (verilator.py sees to it): what was set is what the core has now.
    void edge() {
        top.clk = !top.clk;
#ifdef PARTS
        top.wake ^= reading ? top.awake | top.shown : top.awake;
#endif
        top.eval();
    }
    bool chance(unsigned of256) {
        if (!of256) return false;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return (random >> 24 & 255) < of256;
    }

    // One cycle. What is offered stays offered until it is taken, whatever the dice say.
    void step() {
        if (!rx_offered && !rx.empty() && !chance(stall_in)) {
            rx_offered = true;
            const Beat beat = rx.front();
            top.next_rx_data = beat.data;
            top.next_rx_count = beat.count;
            top.next_rx_session = beat.session;
        }
        if (!body_offered && !body.empty() && !chance(stall_in)) {
            body_offered = true;
            const Beat beat = body.front();
            top.next_body_data = beat.data;
            top.next_body_count = beat.count;
            top.next_body_session = beat.session;
            top.next_body_last = beat.last;
        }
        if (!header_offered && !headers.empty() && !chance(stall_in)) {
            header_offered = true;
            const Header& header = headers.front();
            top.next_header_session = header.session;
            top.next_header_msg_type = header.msg_type;
            top.next_header_seq = header.seq;
            top.next_header_replay = header.replay;
            top.next_header_body = header.body;
        }
        top.next_rx_valid = rx_offered;
        top.next_body_valid = body_offered;
        top.next_header_valid = header_offered;
        top.next_deliver_ready = deliver_ready = !chance(stall_out);
        top.next_tx_ready = tx_ready = !chance(stall_out);
        top.next_records_ready = records_ready = !chance(stall_out);
        edge();
        cycles++;
        counts.cycles++;
        if (rx_offered) {
            if (top.rx_ready) {
                rx.pop();
                rx_offered = false;
                counts.rx_beats++;
                counts.rx_last = cycles;
                if (!counts.rx_first) counts.rx_first = cycles;
            } else {
                counts.rx_stalls++;
            }
        }
        if (body_offered && top.body_ready) {
            body.pop();
            body_offered = false;
        }
        if (header_offered && top.header_ready) {
            headers.pop_front();
            header_offered = false;
        }
        if (top.deliver_valid) {
            if (deliver_ready) {
                deliver.collect(top.deliver_data, top.deliver_count, top.deliver_last, top.deliver_session);
                counts.deliver_beats++;
            } else {
                counts.deliver_stalls++;
            }
        }
        if (top.tx_valid) {
            if (tx_ready) {
                tx.collect(top.tx_data, top.tx_count, top.tx_last, top.tx_session);
                counts.tx_beats++;
            } else {
                counts.tx_stalls++;
            }
        }
        if (top.records_valid) {
            if (records_ready) {
                const uint8_t* raw = reinterpret_cast<const uint8_t*>(&top.records[0]);
                records.insert(records.end(), raw, raw + RECORD_BYTES);
            } else {
                counts.records_stalls++;
            }
        }
    }
    // Until the last access to a register is over: a compact core takes its time.
    void access() {
        while (!top.ready) step();
    }
    bool rests() const { return top.idle && rx.empty() && body.empty() && headers.empty(); }
};

}  // namespace

extern "C" {

void* tag34_new() { return new Core; }
void tag34_delete(void* handle) { delete static_cast<Core*>(handle); }

void tag34_reset(void* handle) { static_cast<Core*>(handle)->reset(); }

void tag34_stalls(void* handle, uint64_t seed, unsigned in, unsigned out) {
    Core& core = *static_cast<Core*>(handle);
    core.random = seed * 2654435769ull + 88172645463325252ull;
    core.stall_in = in;
    core.stall_out = out;
}

void tag34_receive(void* handle, uint16_t session, const uint8_t* bytes, size_t size) {
    static_cast<Core*>(handle)->rx.push(session, bytes, size, false);
}

void tag34_send(void* handle, uint16_t session, uint32_t msg_type, int replay, uint64_t seq, const uint8_t* bytes, size_t size) {
    Core& core = *static_cast<Core*>(handle);
    core.headers.push_back({session, msg_type, seq, replay != 0, size != 0});
    core.body.push(session, bytes, size, true);
}

// The core has the word when this returns, and is not idle if the word gives it something to do.
void tag34_write(void* handle, unsigned address, uint32_t value) {
    Core& core = *static_cast<Core*>(handle);
    core.top.next_address = address;
    core.top.next_write_data = value;
    core.top.next_write = 1;
    core.step();
    core.top.next_write = 0;
    core.step();
    core.access();
}

// A register's word comes two cycles after it is asked for, or when the core is ready.
uint32_t tag34_read(void* handle, unsigned address) {
    Core& core = *static_cast<Core*>(handle);
    core.top.next_address = address;
    core.top.next_read = 1;
    core.reading = true;
    core.step();
    core.top.next_read = 0;
    core.step();
    core.step();
    core.access();
    core.reading = false;
    return core.top.read_data;
}

// Runs until everything is at rest. Returns the number of cycles, or -1 if `limit` cycles were not enough.
int64_t tag34_run(void* handle, int64_t limit) {
    Core& core = *static_cast<Core*>(handle);
    for (int64_t cycle = 0; cycle < limit; cycle++) {
        if (core.rests()) return cycle;
        core.step();
    }
    return -1;
}

// What came out. `what`: 0 records, 1 deliver bytes, 2 deliver ends (32 bit), 3 deliver sessions (16 bit), 4 to 6 the same of tx. The pointer
// is good until tag34_clear or the next run.
const void* tag34_output(void* handle, int what, size_t* size) {
    Core& core = *static_cast<Core*>(handle);
    const auto show = [size](const auto& words) -> const void* {
        *size = words.size() * sizeof words[0];
        return words.data();
    };
    const Output& output = what < 4 ? core.deliver : core.tx;
    switch (what) {
    case 0: return show(core.records);
    case 1: case 4: return show(output.bytes);
    case 2: case 5: return show(output.ends);
    default: return show(output.sessions);
    }
}

void tag34_clear(void* handle) {
    Core& core = *static_cast<Core*>(handle);
    core.records.clear();
    core.deliver.clear();
    core.tx.clear();
}

uint64_t tag34_cycle_count(void* handle) { return static_cast<Core*>(handle)->cycles; }

// All counts since the last call.
void tag34_counts(void* handle, Counts* counts) {
    Core& core = *static_cast<Core*>(handle);
    *counts = core.counts;
    core.counts = Counts{};
}
}
