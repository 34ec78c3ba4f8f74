#include "core/config/config_problem.h"

#include <algorithm>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace trawl {
namespace {

// More would only hide the first ones.
constexpr size_t kMaxShown = 100;

}  // namespace

std::string ConfigProblem::ToString() const {
  std::string text;
  if (!file.empty()) absl::StrAppend(&text, file, ": ");
  if (line > 0) absl::StrAppend(&text, "line ", line, ", column ", column, ": ");
  return text + message;
}

absl::Status ProblemsToStatus(std::span<const ConfigProblem> problems) {
  if (problems.empty()) return absl::OkStatus();
  const std::span<const ConfigProblem> shown = problems.first(std::min(problems.size(), kMaxShown));
  std::string text = absl::StrJoin(shown, "\n", [](std::string* out, const ConfigProblem& problem) {
    out->append(problem.ToString());
  });
  if (problems.size() > shown.size()) {
    absl::StrAppend(&text, "\nand ", problems.size() - shown.size(), " more");
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace trawl
