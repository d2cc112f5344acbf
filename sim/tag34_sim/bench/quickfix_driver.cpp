// QuickFIX's session in this process: no sockets, no threads, no file store, no dictionary. Whole messages go in, what it sends is looked at.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include <time.h>

#include "Application.h"
#include "MessageStore.h"
#include "Responder.h"
#include "Session.h"
#include "SessionSettings.h"
#include "SocketAcceptor.h"

namespace {

// Time that this thread had the processor: what waits for it on a busy machine is nobody's doing.
int64_t now() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * int64_t(1000000000) + time.tv_nsec;
}

struct Application : FIX::NullApplication {
    size_t taken = 0;
    void fromApp(const FIX::Message&, const FIX::SessionID&) override { taken++; }
};

// Where a socket would be.
struct Wire : FIX::Responder {
    size_t requests = 0;
    int64_t requested = 0;
    bool send(const std::string& message) override {
        if (message.find("\00135=2\001") != std::string::npos) {
            requested = now();
            requests++;
        }
        return true;
    }
    void disconnect() override {}
};

struct Engine {
    Application application;
    Wire wire;
    FIX::MemoryStoreFactory stores;
    FIX::SessionSettings settings;
    FIX::SocketAcceptor acceptor;
    FIX::Session* session;
    FIX::UtcTimeStamp time = FIX::UtcTimeStamp::now();

    Engine(std::istream& text, const FIX::SessionID& name)
        : settings(text), acceptor(application, stores, settings), session(FIX::Session::lookupSession(name)) {
        session->setResponder(&wire);
    }
};

}  // namespace

extern "C" {

void* qf_new(const char* settings, const char* begin_string, const char* sender, const char* target) {
    std::istringstream text(settings);
    return new Engine(text, FIX::SessionID(begin_string, sender, target));
}

void qf_expect(void* handle, unsigned seq) { static_cast<Engine*>(handle)->session->setNextTargetMsgSeqNum(seq); }

// Hands over the messages of `data`, of which each ends where `ends` says. Returns how many the application has taken so far.
size_t qf_run(void* handle, const char* data, const uint32_t* ends, size_t count) {
    Engine& engine = *static_cast<Engine*>(handle);
    for (size_t i = 0, at = 0; i < count; at = ends[i++]) engine.session->next(std::string(data + at, ends[i] - at), engine.time);
    return engine.application.taken;
}

// One message that proves a gap: nanoseconds up to its ResendRequest, or -1 if there was none.
int64_t qf_gap(void* handle, const char* data, size_t size) {
    Engine& engine = *static_cast<Engine*>(handle);
    const std::string message(data, size);
    const size_t before = engine.wire.requests;
    const int64_t start = now();
    engine.session->next(message, engine.time);
    if (engine.wire.requests == before) return -1;
    return engine.wire.requested - start;
}
}
