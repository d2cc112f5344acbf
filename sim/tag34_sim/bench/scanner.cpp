// What a processor can do at best: frame by BodyLength, check the CheckSum, find 34, in one pass over bytes that lie in memory.
// No session: nothing is compared with an expected number, held, asked for, or handed to anybody.
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

constexpr uint8_t SOH = 1;
constexpr size_t TRAILER = 7;  // 10=nnn and its SOH

struct Found {
    uint32_t length, seq;
    uint64_t offset;
};

// Digits from `at` on up to an SOH; returns the place behind it, 0 if it is no number.
size_t number(const uint8_t* data, size_t at, size_t size, uint64_t& value) {
    const size_t start = at;
    value = 0;
    for (; at < size && data[at] != SOH; at++) {
        const uint8_t digit = data[at] - '0';
        if (digit > 9 || at - start == 10) return 0;
        value = 10 * value + digit;
    }
    return at == start || at == size ? 0 : at + 1;
}

uint8_t sum(const uint8_t* data, size_t size) {
    uint8_t total = 0;
    for (size_t i = 0; i < size; i++) total += data[i];
    return total;
}

// The message that begins at `data`; its length, 0 if there is none, or not all of it.
size_t message(const uint8_t* data, size_t size, uint64_t& seq) {
    const void* soh = std::memchr(data, SOH, size < 64 ? size : 64);
    if (!soh) return 0;
    size_t at = static_cast<const uint8_t*>(soh) - data + 1;
    if (at + 2 > size || data[at] != '9' || data[at + 1] != '=') return 0;
    uint64_t body;
    at = number(data, at + 2, size, body);
    if (!at || body > size || at + body + TRAILER > size) return 0;
    const size_t end = at + body;
    const uint8_t* t = data + end;
    if (t[-1] != SOH || t[0] != '1' || t[1] != '0' || t[2] != '=' || t[6] != SOH) return 0;
    const unsigned declared = (t[3] - '0') * 100 + (t[4] - '0') * 10 + (t[5] - '0');
    if (declared != sum(data, end)) return 0;
    seq = 0;
    while (at + 3 < end) {
        if (data[at] == '3' && data[at + 1] == '4' && data[at + 2] == '=') {
            if (!number(data, at + 3, end, seq)) seq = 0;
            break;
        }
        const void* next = std::memchr(data + at, SOH, end - at);
        at = static_cast<const uint8_t*>(next) - data + 1;
    }
    return end + TRAILER;
}

}  // namespace

// Scans `size` bytes; returns the number of valid messages, the first `room` of them in `found`.
extern "C" size_t tag34_scan(const uint8_t* data, size_t size, Found* found, size_t room) {
    size_t count = 0;
    for (size_t at = 0; at + 5 <= size;) {
        uint64_t seq = 0;
        const size_t length = std::memcmp(data + at, "8=FIX", 5) ? 0 : message(data + at, size - at, seq);
        if (length) {
            if (count < room) found[count] = {uint32_t(length), uint32_t(seq), at};
            count++;
            at += length;
            continue;
        }
        const void* next = std::memchr(data + at + 1, '8', size - at - 1);
        if (!next) break;
        at = static_cast<const uint8_t*>(next) - data;
    }
    return count;
}
