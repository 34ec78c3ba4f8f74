#pragma once

#include <httplib.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/base/clock.h"

namespace trawl {

// One connection of an HTTP server, with TLS or without: what cpp-httplib reads a request from and
// writes its answer to. All of the request, a TLS handshake included, has one deadline, and so has
// the answer: a client that is slow byte by byte holds its thread no longer than a silent one.
//
// One thread.
class HttpStream final : public httplib::Stream {
 public:
  struct Options {
    absl::Duration max_request = absl::Seconds(5);
    absl::Duration max_answer = absl::Seconds(30);
    size_t max_request_bytes = 128 << 10;
    // Once it is readable no more of a request is read. -1: none.
    int stop_fd = -1;
  };

  // Takes the socket over, which must not block. `tls` may be null: without TLS.
  HttpStream(const Options& options, const Clock& clock, int fd, SSL_CTX* tls);
  ~HttpStream() override;

  // Before anything else. False: there will be no request.
  bool Handshake();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* out, size_t size) override;
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
  ssize_t Complete(const std::function<Step()>& call) const;
  bool Wait(short events) const;
  void BeginAnswer();

  const Options options_;
  const Clock& clock_;
  const int fd_;
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  absl::Duration deadline_;
  bool answering_ = false;
  size_t received_ = 0;
  std::array<char, 4096> buffer_;
  size_t begin_ = 0;  // of what is in buffer_ and was not read
  size_t end_ = 0;
};

}  // namespace trawl
