#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trawl {

// A line of a scenario that is not indented, as words, and the indented ones that follow it.
struct ScenarioStep {
  std::vector<std::string> words;
  std::string text;
};

struct Scenario {
  std::string name;
  std::vector<ScenarioStep> steps;
};

std::vector<Scenario> ReadScenarios(const std::string& path);

// What storage gets when our scrape manager plays the scenario, in the words of
// recorder/scrape/record_test.go, line by line; without the line that names it.
std::vector<std::string> PlayScenario(const Scenario& scenario);

// What recorder/scrape/record_test.go wrote, one entry a scenario: its name and its lines.
std::vector<std::pair<std::string, std::vector<std::string>>> ReadScrapeRecording(
    const std::string& path);

}  // namespace trawl
