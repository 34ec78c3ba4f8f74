#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "core/append/record_decoder.h"
#include "tests/client/store/golden_messages.h"
#include "tests/matchers/status_matchers.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

std::string ReadGolden(const std::string& name) {
  std::ifstream file(std::string(TRAWL_GOLDEN) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A protocol that changed in silence would break stores in other languages.
TEST(GoldenMessagesTest, AreWhatIsWrittenToday) {
  std::set<std::string> names = {"README.md"};
  for (const GoldenMessage& message : MakeGoldenMessages()) {
    EXPECT_EQ(ReadGolden(message.name + ".json"), message.json) << message.name;
    if (!message.zstd) {
      EXPECT_EQ(ReadGolden(message.name + ".bin"), message.bytes) << message.name;
    }
    names.insert({message.name + ".bin", message.name + ".json"});
  }
  std::set<std::string> found;
  for (const auto& file : std::filesystem::directory_iterator(TRAWL_GOLDEN)) {
    found.insert(file.path().filename());
  }
  EXPECT_EQ(found, names);
}

class CountingVisitor final : public RecordDecoder::Visitor {
 public:
  void OnScrape(const DecodedScrape& scrape) override { samples += scrape.samples; }
  uint64_t samples = 0;
};

// The files as they are in the repository, the zstd frame included.
TEST(GoldenMessagesTest, DecodeToTheSameSamplesInEachEncoding) {
  uint64_t samples[2] = {0, 0};
  for (const bool raw : {false, true}) {
    RecordDecoder decoder(RecordDecoder::Options{});
    CountingVisitor visitor;
    for (const GoldenMessage& message : MakeGoldenMessages()) {
      if (message.name.rfind(raw ? "raw-" : "delta-", 0) != 0) continue;
      storage::v1::AppendRequest request;
      ASSERT_TRUE(request.ParseFromString(ReadGolden(message.name + ".bin")));
      if (request.records().rebuild()) continue;
      if (request.records().first_number() != decoder.next_number()) {
        storage::v1::AppendRequest gap;
        ASSERT_TRUE(gap.ParseFromString(ReadGolden("control-request-gap.bin")));
        ASSERT_THAT(decoder.Skip(gap.gap()), IsOk());
      }
      ASSERT_THAT(decoder.Decode(request.records(), visitor), IsOk()) << message.name;
    }
    samples[raw] = visitor.samples;
  }
  EXPECT_EQ(samples[0], samples[1]);
  EXPECT_GT(samples[0], 20u);
}

}  // namespace
}  // namespace trawl
