#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"

namespace trawl {

struct TestRequest {
  std::string head;  // request line and headers
  std::string body;
  std::string path;

  // The header's value, "" without; `name` in lower case.
  std::string Header(const std::string& name) const;
};

// The bytes of an answer, and what happens to the connection after them.
struct TestReply {
  enum class Then { kKeep, kClose, kHang, kReset };
  std::string bytes;
  Then then = Then::kKeep;

  static TestReply Text(const std::string& body, const std::string& more_headers = "");
  static TestReply Status(const std::string& line, const std::string& more_headers = "");
};

// A small HTTP server on 127.0.0.1 (and all of 127/8), port 0, a thread a connection, that can
// misbehave as told. With a certificate it speaks TLS. Stops in its destructor.
class TestHttpServer {
 public:
  using Handler = std::function<TestReply(const TestRequest&)>;
  struct Tls {
    std::string certificate_pem;
    std::string key_pem;
    std::string client_ca_pem;  // if set, clients must show a certificate of it
  };

  explicit TestHttpServer(Handler handler) : TestHttpServer(std::move(handler), nullptr) {}
  TestHttpServer(Handler handler, const Tls& tls) : TestHttpServer(std::move(handler), &tls) {}
  ~TestHttpServer();

  uint16_t port() const { return port_; }
  std::string Url(const std::string& path, const std::string& host = "127.0.0.1") const;
  int connections() const { return connections_; }
  // The name the client asked for (SNI) in the last handshake.
  std::string last_server_name() const;
  std::vector<TestRequest> requests() const;

 private:
  TestHttpServer(Handler handler, const Tls* tls);
  void Accept();
  void Serve(int fd);
  void ServeRequests(int fd, SSL* ssl);
  static int OnServerName(SSL* ssl, int* alert, void* self);

  const Handler handler_;
  SSL_CTX* tls_ = nullptr;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};

  mutable Mutex mutex_;
  bool stopping_ TRAWL_GUARDED_BY(mutex_) = false;
  std::set<int> open_ TRAWL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ TRAWL_GUARDED_BY(mutex_);
  std::vector<TestRequest> requests_ TRAWL_GUARDED_BY(mutex_);
  std::string last_server_name_ TRAWL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace trawl
