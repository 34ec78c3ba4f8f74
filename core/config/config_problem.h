#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"

namespace trawl {

// Something wrong, or worth knowing, at a place in a configuration file.
struct ConfigProblem {
  std::string file;  // "" when the text came from no file
  int line = 0;      // from 1; 0: the whole file
  int column = 0;    // from 1
  std::string message;

  // `prometheus.yml: line 17, column 9: field scrape_intervall not found in type …`
  std::string ToString() const;
  friend bool operator==(const ConfigProblem&, const ConfigProblem&) = default;
  // By file, line, column, so that sorting gives a reader's order.
  friend auto operator<=>(const ConfigProblem&, const ConfigProblem&) = default;
};

// A warning has the same shape: the config is used, but not all that it says.
using ConfigWarning = ConfigProblem;

// kInvalidArgument with every problem (of very many the first 100) on a line of its own; OK when
// there is none.
absl::Status ProblemsToStatus(std::span<const ConfigProblem> problems);

}  // namespace trawl
