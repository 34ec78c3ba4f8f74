#pragma once

#include <httplib.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/base/clock.h"

namespace trawl {

// One connection of an HTTP server, with TLS or without: what cpp-httplib reads a request from and
// writes its answer to.
//
// Its client speaks first: Listen takes what there is of the TLS handshake and of the request's
// head, and never waits, so that one thread may listen to many. Then a thread of its own answers,
// waiting for the client to take it, until a deadline. What comes behind the head is not read.
//
// One thread at a time.
class HttpStream final : public httplib::Stream {
 public:
  struct Options {
    absl::Duration max_answer = absl::Seconds(30);
    size_t max_head_bytes = 128 << 10;
  };

  // Takes the socket over, which must not block. `tls` may be null: without TLS.
  HttpStream(const Options& options, const Clock& clock, int fd, SSL_CTX* tls);
  ~HttpStream() override;

  enum class Heard {
    kAll,        // the head is complete
    kReadMore,   // once the socket is readable
    kWriteMore,  // once it is writable: a TLS handshake
    kFailed,     // there will be no request
  };
  Heard Listen();

  // Of the request, once Listen has heard all.
  bool is_readable() const override { return read_ < request_.size(); }
  ssize_t read(char* out, size_t size) override;
  bool is_writable() const override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

 private:
  // What a call to the socket came to: bytes (0: the end, -1: an error), or what it waits for.
  struct Step {
    ssize_t bytes = 0;
    short awaits = 0;  // POLLIN, POLLOUT; 0: nothing
  };

  Step Receive(char* out, size_t size);
  Step SendSome(const char* data, size_t size);
  Step TlsStep(int result);
  bool HasHead();
  ssize_t Complete(const std::function<Step()>& call) const;
  bool Wait(short events) const;
  void BeginAnswer();

  const Options options_;
  const Clock& clock_;
  const int fd_;
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::string request_;  // what came of it
  size_t searched_ = 0;  // of request_: the head doesn't end before
  size_t read_ = 0;      // of request_
  bool answering_ = false;
  absl::Duration deadline_ = absl::InfiniteDuration();  // of the answer, steady
};

}  // namespace trawl
