#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/append/append_stream.h"
#include "tests/fakes/fake_event_loop.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {

// A kind of AppendStream, and a store at its other end that the test leads.
class AppendStreamRig {
 public:
  virtual ~AppendStreamRig() = default;
  virtual AppendStreamFactory& factory() = 0;
  // Of the newest stream.
  virtual std::vector<storage::v1::AppendRequest> Received() = 0;
  virtual bool StoreSawHalfClose() = 0;
  virtual void StoreSends(const storage::v1::AppendResponse& response) = 0;
  // OK: ends the stream.
  virtual void StoreCloses(const absl::Status& status) = 0;
  virtual FakeEventLoop& loop() = 0;
  // Runs the loop until `done`; false if that does not come in reasonable time.
  virtual bool RunUntil(const std::function<bool()>& done) = 0;
};

struct AppendStreamKind {
  std::string name;
  std::function<std::unique_ptr<AppendStreamRig>()> make;
};

// What every AppendStream keeps to. A kind joins by INSTANTIATE_TEST_SUITE_P.
class AppendStreamContractTest : public ::testing::TestWithParam<AppendStreamKind> {};

}  // namespace trawl
