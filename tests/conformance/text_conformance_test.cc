#include <gtest/gtest.h>

#include "core/base/text.h"
#include "tests/conformance/text_recording.h"

namespace trawl {
namespace {

TEST(TextConformanceTest, TextParserDoesWhatPrometheusRecorded) {
  const std::vector<RecordedCase> cases = ReadRecording(TRAWL_CONFORMANCE_DIR "/text/expected.txt");

  ASSERT_GT(cases.size(), 100u);
  for (const RecordedCase& c : cases) {
    EXPECT_EQ(RecordText(c.input), c.expected) << GoQuote(c.input);
  }
}

}  // namespace
}  // namespace trawl
