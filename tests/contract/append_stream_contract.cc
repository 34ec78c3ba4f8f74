#include "tests/contract/append_stream_contract.h"

#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/matchers/status_matchers.h"

namespace trawl {
namespace {

class RecordingObserver final : public AppendStream::Observer {
 public:
  void OnMessage(const storage::v1::AppendResponse& message) override {
    EXPECT_FALSE(inside) << "called from inside a call of the stream";
    EXPECT_FALSE(closed.has_value()) << "OnClosed must be last";
    messages.push_back(message);
    if (on_message) on_message();
  }
  void OnWritten() override {
    EXPECT_FALSE(inside) << "called from inside a call of the stream";
    EXPECT_FALSE(closed.has_value()) << "OnClosed must be last";
    ++written;
  }
  void OnClosed(const absl::Status& status) override {
    EXPECT_FALSE(inside) << "called from inside a call of the stream";
    EXPECT_FALSE(closed.has_value()) << "OnClosed once only";
    closed = status;
    if (on_closed) on_closed();
  }

  bool inside = false;
  std::vector<storage::v1::AppendResponse> messages;
  int written = 0;
  std::optional<absl::Status> closed;
  std::function<void()> on_message;
  std::function<void()> on_closed;
};

storage::v1::AppendRequest Ping(uint64_t nonce) {
  storage::v1::AppendRequest request;
  request.mutable_ping()->set_nonce(nonce);
  return request;
}

storage::v1::AppendResponse Pong(uint64_t nonce) {
  storage::v1::AppendResponse response;
  response.mutable_pong()->set_nonce(nonce);
  return response;
}

// A rig with one open stream.
struct Session {
  explicit Session(const AppendStreamKind& kind) : rig(kind.make()) {
    observer.inside = true;
    stream = rig->factory().Open(observer);
    observer.inside = false;
  }
  ~Session() {
    stream.reset();
    rig->loop().RunUntilIdle();
  }
  void Write(uint64_t nonce) {
    observer.inside = true;
    stream->Write(Ping(nonce));
    observer.inside = false;
  }
  bool WriteAndWait(uint64_t nonce) {
    const int before = observer.written;
    Write(nonce);
    return rig->RunUntil([&] { return observer.written == before + 1; });
  }

  std::unique_ptr<AppendStreamRig> rig;
  RecordingObserver observer;
  std::unique_ptr<AppendStream> stream;
};

}  // namespace

TEST_P(AppendStreamContractTest, WritesArriveInOrder) {
  Session session(GetParam());

  for (uint64_t nonce = 1; nonce <= 20; ++nonce) ASSERT_TRUE(session.WriteAndWait(nonce));

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.rig->Received().size() == 20; }));
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(session.rig->Received()[i].ping().nonce(), i + 1);
  }
}

TEST_P(AppendStreamContractTest, LargestMessageArrives) {
  Session session(GetParam());
  storage::v1::AppendRequest request;
  request.mutable_records()->set_body(std::string((32 << 20) + (256 << 10), 'x'));

  session.stream->Write(request);

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.rig->Received().size() == 1; }));
  EXPECT_EQ(session.rig->Received()[0].records().body().size(), request.records().body().size());
}

TEST_P(AppendStreamContractTest, MessagesOfTheStoreArriveInOrder) {
  Session session(GetParam());
  ASSERT_TRUE(session.WriteAndWait(1));

  for (uint64_t nonce = 1; nonce <= 50; ++nonce) session.rig->StoreSends(Pong(nonce));

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.messages.size() == 50; }));
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(session.observer.messages[i].pong().nonce(), i + 1);
  }
}

TEST_P(AppendStreamContractTest, ErrorOfTheStoreIsTold) {
  Session session(GetParam());
  ASSERT_TRUE(session.WriteAndWait(1));

  session.rig->StoreCloses(absl::FailedPreconditionError("fenced"));

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.closed.has_value(); }));
  EXPECT_THAT(*session.observer.closed,
              StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::Eq("fenced")));
}

TEST_P(AppendStreamContractTest, MessagesBeforeTheEndAreNotLost) {
  Session session(GetParam());
  ASSERT_TRUE(session.WriteAndWait(1));

  session.rig->StoreSends(Pong(1));
  session.rig->StoreSends(Pong(2));
  session.rig->StoreCloses(absl::OkStatus());

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.closed.has_value(); }));
  EXPECT_THAT(*session.observer.closed, IsOk());
  EXPECT_EQ(session.observer.messages.size(), 2u);
}

TEST_P(AppendStreamContractTest, CancelEndsIt) {
  Session session(GetParam());
  ASSERT_TRUE(session.WriteAndWait(1));

  session.observer.inside = true;
  session.stream->Cancel();
  session.observer.inside = false;

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.closed.has_value(); }));
  EXPECT_THAT(*session.observer.closed, StatusIs(absl::StatusCode::kCancelled));
}

TEST_P(AppendStreamContractTest, StoreMayAnswerAfterHalfClose) {
  Session session(GetParam());
  session.Write(1);
  session.stream->HalfClose();
  ASSERT_TRUE(session.rig->RunUntil([&] { return session.rig->StoreSawHalfClose(); }));

  session.rig->StoreSends(Pong(1));
  session.rig->StoreCloses(absl::OkStatus());

  ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.closed.has_value(); }));
  EXPECT_EQ(session.observer.messages.size(), 1u);
  EXPECT_EQ(session.rig->Received().size(), 1u);
}

TEST_P(AppendStreamContractTest, DestroyedStreamTellsNothing) {
  Session session(GetParam());
  ASSERT_TRUE(session.WriteAndWait(1));
  session.rig->StoreSends(Pong(1));
  session.Write(2);

  session.stream.reset();
  session.rig->loop().RunUntilIdle();

  EXPECT_EQ(session.observer.written, 1);
  EXPECT_THAT(session.observer.messages, ::testing::IsEmpty());
  EXPECT_FALSE(session.observer.closed.has_value());
}

TEST_P(AppendStreamContractTest, MayBeDestroyedFromInsideItsObserver) {
  Session first(GetParam());
  ASSERT_TRUE(first.WriteAndWait(1));
  first.observer.on_message = [&] { first.stream.reset(); };
  first.rig->StoreSends(Pong(1));
  EXPECT_TRUE(first.rig->RunUntil([&] { return first.stream == nullptr; }));

  Session second(GetParam());
  ASSERT_TRUE(second.WriteAndWait(1));
  second.observer.on_closed = [&] { second.stream.reset(); };
  second.rig->StoreCloses(absl::UnavailableError("gone"));
  EXPECT_TRUE(second.rig->RunUntil([&] { return second.stream == nullptr; }));
}

TEST_P(AppendStreamContractTest, WriteOnAStreamThatHasEndedDoesNoHarm) {
  Session session(GetParam());
  ASSERT_TRUE(session.WriteAndWait(1));
  session.rig->StoreCloses(absl::UnavailableError("gone"));
  ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.closed.has_value(); }));

  session.Write(2);
  session.rig->loop().RunUntilIdle();

  EXPECT_EQ(session.observer.written, 1);
}

TEST_P(AppendStreamContractTest, WritesBesideTheStoresEndDoNoHarm) {
  for (int i = 0; i < 20; ++i) {
    Session session(GetParam());
    ASSERT_TRUE(session.WriteAndWait(1));
    session.rig->StoreCloses(absl::UnavailableError("gone"));
    session.Write(2);
    ASSERT_TRUE(session.rig->RunUntil([&] { return session.observer.closed.has_value(); }));
    EXPECT_EQ(session.observer.closed->code(), absl::StatusCode::kUnavailable);
  }
}

}  // namespace trawl
