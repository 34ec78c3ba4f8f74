#include "server/http_stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace trawl {
namespace {

void ToText(const sockaddr_storage& address, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ip = inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ip = inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
}

int PollTimeout(absl::Duration left) {
  return static_cast<int>(absl::ToInt64Milliseconds(std::min(left, absl::Hours(1)))) + 1;
}

}  // namespace

HttpStream::HttpStream(const Options& options, const Clock& clock, int fd, SSL_CTX* tls)
    : options_(options),
      clock_(clock),
      fd_(fd),
      ssl_(tls == nullptr ? nullptr : SSL_new(tls), &SSL_free) {
  if (ssl_ == nullptr) return;
  SSL_set_fd(ssl_.get(), fd_);
  SSL_set_accept_state(ssl_.get());
}

HttpStream::~HttpStream() {
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
  ERR_clear_error();
  shutdown(fd_, SHUT_RDWR);
  close(fd_);
}

HttpStream::Heard HttpStream::Listen() {
  std::array<char, 4096> buffer;
  while (!HasHead()) {
    if (request_.size() >= options_.max_head_bytes) return Heard::kFailed;
    const Step step = Receive(buffer.data(), buffer.size());
    if (step.awaits != 0) return step.awaits == POLLIN ? Heard::kReadMore : Heard::kWriteMore;
    if (step.bytes <= 0) return Heard::kFailed;
    request_.append(buffer.data(), static_cast<size_t>(step.bytes));
  }
  return Heard::kAll;
}

bool HttpStream::HasHead() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  if (request_.find(kEnd, searched_) != std::string::npos) return true;
  searched_ = request_.size() - std::min(request_.size(), kEnd.size() - 1);
  return false;
}

ssize_t HttpStream::read(char* out, size_t size) {
  const size_t count = request_.copy(out, size, read_);
  read_ += count;
  return static_cast<ssize_t>(count);
}

bool HttpStream::is_writable() const { return Wait(POLLOUT); }

ssize_t HttpStream::write(const char* data, size_t size) {
  BeginAnswer();
  return size == 0 ? 0 : Complete([this, data, size] { return SendSome(data, size); });
}

void HttpStream::BeginAnswer() {
  if (std::exchange(answering_, true)) return;
  deadline_ = clock_.Steady() + options_.max_answer;
}

HttpStream::Step HttpStream::Receive(char* out, size_t size) {
  if (ssl_ != nullptr) return TlsStep(SSL_read(ssl_.get(), out, static_cast<int>(size)));
  const ssize_t got = recv(fd_, out, size, 0);
  return {got, static_cast<short>(got < 0 && (errno == EAGAIN || errno == EINTR) ? POLLIN : 0)};
}

HttpStream::Step HttpStream::SendSome(const char* data, size_t size) {
  constexpr size_t kMost = size_t{1} << 30;
  size = std::min(size, kMost);
  if (ssl_ != nullptr) return TlsStep(SSL_write(ssl_.get(), data, static_cast<int>(size)));
  const ssize_t sent = send(fd_, data, size, MSG_NOSIGNAL);
  return {sent, static_cast<short>(sent < 0 && (errno == EAGAIN || errno == EINTR) ? POLLOUT : 0)};
}

HttpStream::Step HttpStream::TlsStep(int result) {
  if (result > 0) return {result, 0};
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  switch (error) {
    case SSL_ERROR_WANT_READ:
      return {-1, POLLIN};
    case SSL_ERROR_WANT_WRITE:
      return {-1, POLLOUT};
    case SSL_ERROR_ZERO_RETURN:
      return {0, 0};
    default:
      return {-1, 0};
  }
}

ssize_t HttpStream::Complete(const std::function<Step()>& call) const {
  while (true) {
    const Step step = call();
    if (step.awaits == 0) return step.bytes;
    if (!Wait(step.awaits)) return -1;
  }
}

bool HttpStream::Wait(short events) const {
  pollfd watched = {fd_, events, 0};
  while (true) {
    const absl::Duration left = deadline_ - clock_.Steady();
    if (left <= absl::ZeroDuration()) return false;
    const int ready = poll(&watched, 1, PollTimeout(left));
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0) return true;
  }
}

void HttpStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getpeername(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    ToText(address, ip, port);
}

void HttpStream::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    ToText(address, ip, port);
}

}  // namespace trawl
