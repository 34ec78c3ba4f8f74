#include "tests/core/fetch/test_http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace trawl {
namespace {

// A connection's bytes, with or without TLS.
struct Stream {
  int fd;
  SSL* ssl;

  bool Read(std::string& buffer) const {
    char chunk[4096];
    const auto n = ssl != nullptr ? SSL_read(ssl, chunk, sizeof(chunk))
                                  : static_cast<int>(recv(fd, chunk, sizeof(chunk), 0));
    if (n <= 0) return false;
    buffer.append(chunk, static_cast<size_t>(n));
    return true;
  }

  void Write(const std::string& bytes) const {
    if (ssl != nullptr) {
      SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()));
      return;
    }
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
    }
  }
};

std::optional<TestRequest> ReadRequest(const Stream& stream, std::string& buffer) {
  size_t end = buffer.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!stream.Read(buffer)) return std::nullopt;
    end = buffer.find("\r\n\r\n");
  }
  TestRequest request;
  request.head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  const size_t path = request.head.find(' ') + 1;
  request.path = request.head.substr(path, request.head.find(' ', path) - path);
  size_t length = 0;
  if (absl::SimpleAtoi(request.Header("content-length"), &length)) {
    while (buffer.size() < length) {
      if (!stream.Read(buffer)) return std::nullopt;
    }
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
  }
  return request;
}

BIO* MakeBio(const std::string& text) {
  return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
}

X509* ReadCertificate(const std::string& pem) {
  BIO* bio = MakeBio(pem);
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return certificate;
}

SSL_CTX* MakeTls(const TestHttpServer::Tls& tls) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  X509* certificate = ReadCertificate(tls.certificate_pem);
  SSL_CTX_use_certificate(context, certificate);
  X509_free(certificate);
  BIO* bio = MakeBio(tls.key_pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  SSL_CTX_use_PrivateKey(context, key);
  EVP_PKEY_free(key);
  if (!tls.client_ca_pem.empty()) {
    X509* ca = ReadCertificate(tls.client_ca_pem);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
    X509_free(ca);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

}  // namespace

std::string TestRequest::Header(const std::string& name) const {
  const std::string lower = absl::AsciiStrToLower(head);
  const size_t found = lower.find(absl::StrCat("\r\n", name, ": "));
  if (found == std::string::npos) return "";
  const size_t begin = found + 2 + name.size() + 2;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

TestReply TestReply::Text(const std::string& body, const std::string& more_headers) {
  return {absl::StrCat("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n",
                       more_headers, "Content-Length: ", body.size(), "\r\n\r\n", body)};
}

TestReply TestReply::Status(const std::string& line, const std::string& more_headers) {
  return {absl::StrCat("HTTP/1.1 ", line, "\r\n", more_headers, "Content-Length: 0\r\n\r\n")};
}

TestHttpServer::TestHttpServer(Handler handler, const Tls* tls)
    : handler_(std::move(handler)), tls_(tls != nullptr ? MakeTls(*tls) : nullptr) {
  signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (tls_ != nullptr) {
    SSL_CTX_set_tlsext_servername_callback(tls_, &TestHttpServer::OnServerName);
    SSL_CTX_set_tlsext_servername_arg(tls_, this);
  }
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::abort();
  listen(listener_, 1024);
  socklen_t length = sizeof(address);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TestHttpServer::~TestHttpServer() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    MutexLock lock(mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  close(listener_);
  SSL_CTX_free(tls_);
}

std::string TestHttpServer::Url(const std::string& path, const std::string& host) const {
  return absl::StrCat(tls_ != nullptr ? "https" : "http", "://", host, ":", port_, path);
}

std::string TestHttpServer::last_server_name() const {
  MutexLock lock(mutex_);
  return last_server_name_;
}

std::vector<TestRequest> TestHttpServer::requests() const {
  MutexLock lock(mutex_);
  return requests_;
}

void TestHttpServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++connections_;
    MutexLock lock(mutex_);
    if (stopping_) {
      close(fd);
      return;
    }
    open_.insert(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void TestHttpServer::Serve(int fd) {
  SSL* ssl = nullptr;
  bool ready = true;
  if (tls_ != nullptr) {
    ssl = SSL_new(tls_);
    SSL_set_fd(ssl, fd);
    ready = SSL_accept(ssl) == 1;
  }
  if (ready) ServeRequests(fd, ssl);
  SSL_free(ssl);
  MutexLock lock(mutex_);
  open_.erase(fd);
  close(fd);
}

void TestHttpServer::ServeRequests(int fd, SSL* ssl) {
  const Stream stream{fd, ssl};
  std::string buffer;
  while (auto request = ReadRequest(stream, buffer)) {
    {
      MutexLock lock(mutex_);
      requests_.push_back(*request);
    }
    const TestReply reply = handler_(*request);
    stream.Write(reply.bytes);
    if (reply.then == TestReply::Then::kClose) return;
    if (reply.then == TestReply::Then::kReset) {
      const linger at_once{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      return;
    }
    if (reply.then == TestReply::Then::kHang) {
      while (stream.Read(buffer)) {
      }
      return;
    }
  }
}

int TestHttpServer::OnServerName(SSL* ssl, int*, void* self) {
  auto& server = *static_cast<TestHttpServer*>(self);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  MutexLock lock(server.mutex_);
  server.last_server_name_ = name != nullptr ? name : "";
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace trawl
