#include "tests/contract/fetcher_contract.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "core/base/mutex.h"
#include "tests/core/fetch/loop_fixture.h"
#include "tests/core/fetch/test_http_server.h"
#include "tests/fakes/fake_fetcher.h"

namespace trawl {

uint16_t UnusedPort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  close(fd);
  return ntohs(address.sin_port);
}

namespace {

class CurlWorld final : public FetcherWorld {
 public:
  Fetcher& fetcher() override { return curl_.fetcher(); }
  EventLoop& loop() override { return curl_.loop(); }
  std::shared_ptr<const HttpClient> client() override { return curl_.Client(); }
  std::string GoodUrl(const std::string& body) override {
    MutexLock lock(mutex_);
    const std::string path = absl::StrCat("/good", bodies_.size());
    bodies_[path] = body;
    return server_.Url(path);
  }
  std::string MissingUrl() override { return server_.Url("/missing"); }
  std::string HangingUrl() override { return server_.Url("/hang"); }
  std::string RefusingUrl() override {
    return absl::StrCat("http://127.0.0.1:", UnusedPort(), "/");
  }
  void RunUntil(std::function<bool()> done) override { curl_.RunUntil(done); }

 private:
  TestReply Answer(const TestRequest& request) {
    if (request.path == "/hang") return {"", TestReply::Then::kHang};
    MutexLock lock(mutex_);
    const auto body = bodies_.find(request.path);
    if (body == bodies_.end()) return TestReply::Status("404 Not Found");
    return TestReply::Text(body->second);
  }

  Mutex mutex_;
  std::map<std::string, std::string> bodies_;
  TestHttpServer server_{[this](const TestRequest& request) { return Answer(request); }};
  CurlFixture curl_;
};

class FakeWorld final : public FetcherWorld {
 public:
  FakeWorld() {
    fake_.Serve(MissingUrl(), {.status_code = 404, .status_line = "404 Not Found"});
    fake_.Hold(HangingUrl());
  }
  Fetcher& fetcher() override { return fake_; }
  EventLoop& loop() override { return runner_.loop(); }
  std::shared_ptr<const HttpClient> client() override { return nullptr; }
  std::string GoodUrl(const std::string& body) override {
    const std::string url = absl::StrCat("http://good/", urls_++);
    fake_.Serve(url, {.body = body});
    return url;
  }
  std::string MissingUrl() override { return "http://missing/"; }
  std::string HangingUrl() override { return "http://hang/"; }
  std::string RefusingUrl() override { return "http://refuses/"; }
  void RunUntil(std::function<bool()> done) override { runner_.RunUntil(done); }

 private:
  LoopRunner runner_;
  FakeFetcher fake_{runner_.loop()};
  int urls_ = 0;
};

std::unique_ptr<FetcherWorld> MakeCurlWorld() { return std::make_unique<CurlWorld>(); }
std::unique_ptr<FetcherWorld> MakeFakeWorld() { return std::make_unique<FakeWorld>(); }

INSTANTIATE_TEST_SUITE_P(Curl, FetcherContractTest, testing::Values(&MakeCurlWorld));
INSTANTIATE_TEST_SUITE_P(Fake, FetcherContractTest, testing::Values(&MakeFakeWorld));

}  // namespace
}  // namespace trawl
