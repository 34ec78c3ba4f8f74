#include "core/fetch/cares_resolver.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/core/fetch/loop_fixture.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Answer = absl::StatusOr<std::vector<std::string>>;

constexpr uint16_t kTypeA = 1;

struct Question {
  std::string name;
  uint16_t type = 0;
  std::string bytes;  // as asked, to be repeated in the answer
};

Question ParseQuestion(const std::string& packet) {
  Question question;
  size_t at = 12;
  while (at < packet.size() && packet[at] != 0) {
    const auto length = static_cast<unsigned char>(packet[at]);
    if (!question.name.empty()) question.name += ".";
    question.name += packet.substr(at + 1, length);
    at += 1 + length;
  }
  question.type = static_cast<unsigned char>(packet[at + 2]);
  question.bytes = packet.substr(12, at + 5 - 12);
  return question;
}

// A name server on the test's own loop. Names it does not know don't exist; a silent one answers
// nothing.
class NameServer {
 public:
  explicit NameServer(EpollLoop& loop) : loop_(loop) {
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    loop_.Watch(fd_, FdWatcher::kReadable, [this](uint32_t) { OnPacket(); });
  }
  ~NameServer() {
    loop_.Unwatch(fd_);
    close(fd_);
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  std::map<std::string, std::string> v4;
  std::map<std::string, std::string> v6;
  uint32_t ttl = 60;
  bool silent = false;
  int questions = 0;

 private:
  void OnPacket() {
    char buffer[512];
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    const ssize_t n =
        recvfrom(fd_, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (n < 12) return;
    ++questions;
    if (silent) return;
    const std::string reply = Reply(std::string(buffer, static_cast<size_t>(n)));
    sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }

  std::string Reply(const std::string& packet) const {
    const Question question = ParseQuestion(packet);
    const auto& names = question.type == kTypeA ? v4 : v6;
    const auto found = names.find(question.name);
    const bool exists = v4.contains(question.name) || v6.contains(question.name);
    std::string reply = packet.substr(0, 2);
    reply += std::string{
        '\x81', exists ? '\x80' : '\x83', 0, 1, 0, found != names.end() ? '\1' : '\0', 0, 0, 0, 0};
    reply += question.bytes;
    if (found == names.end()) return reply;
    const bool is_v4 = question.type == kTypeA;
    reply += std::string{'\xc0', 12, 0, static_cast<char>(question.type), 0, 1};
    const uint32_t wire_ttl = htonl(ttl);
    reply.append(reinterpret_cast<const char*>(&wire_ttl), 4);
    char address[16];
    inet_pton(is_v4 ? AF_INET : AF_INET6, found->second.c_str(), address);
    reply += std::string{0, is_v4 ? '\4' : '\x10'};
    return reply.append(address, is_v4 ? 4 : 16);
  }

  EpollLoop& loop_;
  int fd_ = -1;
  uint16_t port_ = 0;
};

class CaresResolverTest : public ::testing::Test {
 protected:
  void Make(CaresResolver::Options options) {
    options.servers = server_.address();
    options.query_timeout = absl::Milliseconds(20);
    resolver_.emplace(options, CaresResolver::Deps{runner_.loop(), runner_.loop()});
  }

  Answer Resolve(const std::string& host) {
    std::optional<Answer> answer;
    resolver_->Resolve(host, [&](Answer got) { answer = std::move(got); });
    runner_.RunUntil([&] { return answer.has_value(); });
    return *answer;
  }

  LoopRunner runner_;
  NameServer server_{runner_.loop()};
  std::optional<CaresResolver> resolver_;
};

TEST_F(CaresResolverTest, GivesBothKindsOfAddresses) {
  server_.v4["node.example"] = "192.0.2.7";
  server_.v6["node.example"] = "2001:db8::7";
  Make({});

  EXPECT_THAT(*Resolve("node.example"), UnorderedElementsAre("192.0.2.7", "2001:db8::7"));
}

TEST_F(CaresResolverTest, OneKindOfAddressIsEnough) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});

  EXPECT_THAT(*Resolve("node.example"), ElementsAre("192.0.2.7"));
}

TEST_F(CaresResolverTest, LocalhostNeedsNoNameServer) {
  Make({});

  EXPECT_THAT(*Resolve("localhost"), ElementsAre("127.0.0.1", "::1"));
  EXPECT_EQ(server_.questions, 0);
}

TEST_F(CaresResolverTest, AnswersAreKeptAndNamesAreNotCaseSensitive) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});
  ASSERT_OK(Resolve("node.example"));
  const int asked = server_.questions;

  EXPECT_OK(Resolve("NODE.example"));
  EXPECT_EQ(server_.questions, asked);
}

TEST_F(CaresResolverTest, ACachedAnswerComesFromInsideResolve) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});
  ASSERT_OK(Resolve("node.example"));
  bool called = false;

  EXPECT_EQ(resolver_->Resolve("node.example", [&](Answer) { called = true; }), 0u);
  EXPECT_TRUE(called);
}

TEST_F(CaresResolverTest, AnAnswerThatRanOutIsAskedForAgain) {
  server_.v4["node.example"] = "192.0.2.7";
  server_.ttl = 0;
  Make({.min_ttl = absl::ZeroDuration()});
  ASSERT_OK(Resolve("node.example"));

  server_.v4["node.example"] = "192.0.2.8";

  EXPECT_THAT(*Resolve("node.example"), ElementsAre("192.0.2.8"));
}

TEST_F(CaresResolverTest, AnUnknownNameIsNoSuchHostAndKeptForAMoment) {
  Make({.failure_ttl = absl::Minutes(1)});

  EXPECT_THAT(Resolve("nowhere.example."),
              StatusIs(absl::StatusCode::kUnavailable, "lookup nowhere.example.: no such host"));
  const int asked = server_.questions;
  EXPECT_FALSE(Resolve("nowhere.example.").ok());
  EXPECT_EQ(server_.questions, asked);
}

TEST_F(CaresResolverTest, QuestionsAreCountedByTheirResult) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});
  ASSERT_OK(Resolve("node.example"));
  ASSERT_OK(Resolve("node.example"));  // from the cache
  EXPECT_FALSE(Resolve("other.example").ok());
  server_.silent = true;
  EXPECT_FALSE(Resolve("hung.example").ok());

  const CaresResolver::Totals totals = resolver_->totals();
  EXPECT_EQ(totals.answered, 1u);
  EXPECT_EQ(totals.not_found, 1u);
  EXPECT_EQ(totals.failed, 1u);
}

TEST_F(CaresResolverTest, ASilentServerIsATimeout) {
  server_.silent = true;
  Make({});

  EXPECT_THAT(Resolve("node.example"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("i/o timeout")));
}

TEST_F(CaresResolverTest, AnOldAnswerIsBetterThanNone) {
  server_.v4["node.example"] = "192.0.2.7";
  server_.ttl = 0;
  Make({.min_ttl = absl::ZeroDuration()});
  ASSERT_OK(Resolve("node.example"));

  server_.silent = true;

  EXPECT_THAT(*Resolve("node.example"), ElementsAre("192.0.2.7"));
}

TEST_F(CaresResolverTest, AnOldAnswerEndsAfterItsTime) {
  server_.v4["node.example"] = "192.0.2.7";
  server_.ttl = 0;
  Make({.min_ttl = absl::ZeroDuration(), .stale_for = absl::ZeroDuration()});
  ASSERT_OK(Resolve("node.example"));

  server_.silent = true;

  EXPECT_FALSE(Resolve("node.example").ok());
}

TEST_F(CaresResolverTest, QuestionsForOneNameAtTheSameTimeAreAskedOnce) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});
  int answers = 0;
  for (int i = 0; i < 10; ++i) {
    resolver_->Resolve("node.example",
                       [&](const Answer& answer) { answers += answer.ok() ? 1 : 0; });
  }

  runner_.RunUntil([&] { return answers == 10; });

  EXPECT_EQ(resolver_->queries_sent(), 1u);
}

TEST_F(CaresResolverTest, ACancelledQuestionDoesNotCallBackButFillsTheCache) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});
  bool called = false;
  const auto id = resolver_->Resolve("node.example", [&](const Answer&) { called = true; });

  resolver_->Cancel(id);
  runner_.RunUntil([&] { return resolver_->cached_names() == 1; });

  EXPECT_FALSE(called);
}

TEST_F(CaresResolverTest, ASilentNameDoesNotDelayAKnownOne) {
  server_.v4["node.example"] = "192.0.2.7";
  Make({});
  ASSERT_OK(Resolve("node.example"));
  server_.silent = true;
  bool hung_answered = false;
  resolver_->Resolve("hung.example", [&](const Answer&) { hung_answered = true; });

  EXPECT_OK(Resolve("node.example"));
  EXPECT_FALSE(hung_answered);
}

TEST_F(CaresResolverTest, TheCacheForgetsTheLeastRecentlyUsed) {
  for (int i = 0; i < 5; ++i) server_.v4[absl::StrCat("n", i, ".example")] = "192.0.2.7";
  Make({.max_cached_names = 3});
  for (int i = 0; i < 5; ++i) ASSERT_OK(Resolve(absl::StrCat("n", i, ".example")));

  EXPECT_EQ(resolver_->cached_names(), 3u);
  const int asked = server_.questions;
  ASSERT_OK(Resolve("n4.example"));
  EXPECT_EQ(server_.questions, asked);
  ASSERT_OK(Resolve("n0.example"));
  EXPECT_GT(server_.questions, asked);
}

TEST_F(CaresResolverTest, EndsWithQuestionsUnderWay) {
  server_.silent = true;
  Make({});
  bool called = false;
  resolver_->Resolve("node.example", [&](const Answer&) { called = true; });

  resolver_.reset();

  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace trawl
