#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/conformance/scrape_recording.h"

namespace trawl {
namespace {

using Lines = std::vector<std::string>;

// Lines of one only, in their order, with a mark; "" when there are none.
std::string OnlyIn(Lines lines, Lines others, std::string_view mark) {
  std::sort(others.begin(), others.end());
  std::string text;
  for (const std::string& line : lines) {
    const auto found = std::lower_bound(others.begin(), others.end(), line);
    if (found != others.end() && *found == line) {
      others.erase(found);
    } else {
      absl::StrAppend(&text, mark, line, "\n");
    }
  }
  return text;
}

// Without the lines in which ours differ, and why stands in the scenario.
Lines WithoutOurs(Lines lines, const Scenario& scenario) {
  for (const ScenarioStep& step : scenario.steps) {
    if (step.words[0] != "ours") continue;
    std::erase_if(lines,
                  [&](const std::string& line) { return absl::StrContains(line, step.words[1]); });
  }
  return lines;
}

TEST(ScrapeConformanceTest, StorageGetsWhatItGotFromPrometheus) {
  const std::vector<Scenario> scenarios =
      ReadScenarios(TRAWL_CONFORMANCE_DIR "/scrape/scenarios.txt");
  const auto recording = ReadScrapeRecording(TRAWL_CONFORMANCE_DIR "/scrape/expected.txt");

  ASSERT_GT(scenarios.size(), 50u);
  ASSERT_EQ(scenarios.size(), recording.size());
  for (size_t i = 0; i < scenarios.size(); ++i) {
    ASSERT_EQ(scenarios[i].name, recording[i].first);
    const Lines ours = WithoutOurs(PlayScenario(scenarios[i]), scenarios[i]);
    const Lines theirs = WithoutOurs(recording[i].second, scenarios[i]);
    EXPECT_EQ(OnlyIn(theirs, ours, "- ") + OnlyIn(ours, theirs, "+ "), "")
        << scenarios[i].name << ": Prometheus -, trawl +";
  }
}

}  // namespace
}  // namespace trawl
