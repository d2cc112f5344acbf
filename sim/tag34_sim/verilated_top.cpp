// Drives a Verilated board at its two pins: bytes go in and come out as a UART's bits. A cycle is one evaluation, as in harness.cpp.
#include <cstdint>
#include <deque>
#include <vector>

#include "Vtag34_board.h"
#include "verilated.h"

namespace {

struct Board {
    VerilatedContext context;
    Vtag34_board top{&context, "board"};
    const unsigned divisor;
    uint64_t cycles = 0;
    std::deque<uint8_t> out;  // for the device
    std::vector<uint8_t> in;  // of the device
    unsigned send_timer = 0, send_bits = 0, receive_timer = 0, receive_bits = 0, received = 0;
    uint16_t sending = 0;

    explicit Board(unsigned divisor) : divisor(divisor) {
        top.rx = 1;
        top.rst = 0;
        top.clk = 0;
        top.eval();
        reset();
    }
    void reset() {
        top.rst = 1;
        cycle();
        cycle();
        top.rst = 0;
        receive_bits = 0;
    }
    void cycle() {
        top.clk = !top.clk;
        top.eval();
        cycles++;
    }
    void step() {
        // One start bit, eight bits, one stop bit.
        if (send_timer) send_timer--;
        if (!send_timer) {
            if (!send_bits && !out.empty()) {
                sending = uint16_t(out.front() << 1 | 0x200);
                out.pop_front();
                send_bits = 10;
            }
            if (send_bits) {
                top.rx = sending & 1;
                sending >>= 1;
                send_bits--;
                send_timer = divisor;
            }
        }
        cycle();
        if (!receive_bits) {
            if (!top.tx) {
                receive_bits = 10;
                receive_timer = divisor / 2;
                received = 0;
            }
        } else if (!--receive_timer) {
            received |= unsigned(top.tx) << (10 - receive_bits);
            receive_timer = divisor;
            if (!--receive_bits && (received & 0x201) == 0x200) in.push_back(received >> 1 & 255);
        }
    }
};

}  // namespace

extern "C" {
Board* tag34_board_new(unsigned divisor) { return new Board(divisor); }
void tag34_board_delete(Board* board) { delete board; }
void tag34_board_reset(Board* board) { board->reset(); }
uint64_t tag34_board_cycles(Board* board) { return board->cycles; }
void tag34_board_write(Board* board, const uint8_t* bytes, size_t size) { board->out.insert(board->out.end(), bytes, bytes + size); }
size_t tag34_board_waiting(Board* board) { return board->out.size() + (board->send_bits ? 1 : 0); }
void tag34_board_run(Board* board, uint64_t cycles) {
    while (cycles--) board->step();
}
size_t tag34_board_read(Board* board, uint8_t* bytes, size_t size) {
    size_t n = board->in.size() < size ? board->in.size() : size;
    for (size_t i = 0; i < n; i++) bytes[i] = board->in[i];
    board->in.erase(board->in.begin(), board->in.begin() + n);
    return n;
}
}
