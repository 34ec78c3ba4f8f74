#include "tests/contract/append_stream_contract.h"
#include "tests/fakes/fake_append_stream.h"

namespace trawl {
namespace {

class FakeRig final : public AppendStreamRig {
 public:
  AppendStreamFactory& factory() override { return factory_; }
  std::vector<storage::v1::AppendRequest> Received() override { return factory_.written(); }
  bool StoreSawHalfClose() override { return factory_.half_closed(); }
  void StoreSends(const storage::v1::AppendResponse& response) override {
    factory_.Answer(response);
  }
  void StoreCloses(const absl::Status& status) override { factory_.Close(status); }
  FakeEventLoop& loop() override { return loop_; }
  bool RunUntil(const std::function<bool()>& done) override {
    loop_.RunUntilIdle();
    return done();
  }

 private:
  FakeEventLoop loop_;
  FakeAppendStreamFactory factory_{loop_};
};

INSTANTIATE_TEST_SUITE_P(Fake, AppendStreamContractTest,
                         ::testing::Values(AppendStreamKind{
                             "Fake", [] { return std::make_unique<FakeRig>(); }}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace trawl
