#include "core/config/config_problem.h"

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace trawl {

std::string ConfigProblem::ToString() const {
  std::string text;
  if (!file.empty()) absl::StrAppend(&text, file, ": ");
  if (line > 0) absl::StrAppend(&text, "line ", line, ", column ", column, ": ");
  return text + message;
}

absl::Status ProblemsToStatus(std::span<const ConfigProblem> problems) {
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(
      problems, "\n",
      [](std::string* out, const ConfigProblem& problem) { out->append(problem.ToString()); }));
}

}  // namespace trawl
