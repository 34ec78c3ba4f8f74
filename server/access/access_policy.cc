#include "server/access/access_policy.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/concat.h"
#include "core/base/text.h"

namespace trawl {
namespace {

constexpr size_t kMaxShown = 256;  // of a client's text, in the refusal

// Greedy with one step back, so that no pattern costs more than pattern times text.
bool MatchesPattern(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool MatchesAny(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [text](const std::string& pattern) { return MatchesPattern(pattern, text); });
}

bool IsNamed(const Caller& caller, std::string_view name) {
  return std::find(caller.names.begin(), caller.names.end(), name) != caller.names.end();
}

absl::Status Denied(const Caller& caller, std::string_view what) {
  const std::string names = absl::StrJoin(
      caller.names, ", ",
      [](std::string* out, const std::string& name) { absl::StrAppend(out, GoQuote(name)); });
  return absl::PermissionDeniedError(Concat(names, " may not ", what));
}

absl::StatusOr<std::vector<std::string>> ParseList(std::string_view key, std::string_view text) {
  std::vector<std::string> items = absl::StrSplit(ToAbsl(text), ',');
  for (const std::string& item : items) {
    if (item.empty()) return absl::InvalidArgumentError(Concat(key, "= has an empty item"));
  }
  return items;
}

}  // namespace

absl::StatusOr<PushRule> ParsePushRule(std::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(ToAbsl(text), ' ', absl::SkipEmpty());
  if (words.empty()) return absl::InvalidArgumentError("want NAME [sources=S,...] [jobs=J,...]");
  PushRule rule;
  rule.name = words.front();
  for (size_t i = 1; i < words.size(); ++i) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(words[i], absl::MaxSplits('=', 1));
    std::vector<std::string>* list = field.first == "sources" ? &rule.sources
                                     : field.first == "jobs"  ? &rule.jobs
                                                              : nullptr;
    if (list == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("want sources=S,... or jobs=J,..., got ", GoQuote(words[i])));
    }
    absl::StatusOr<std::vector<std::string>> items = ParseList(field.first, field.second);
    if (!items.ok()) return items.status();
    *list = *std::move(items);
  }
  return rule;
}

AccessPolicy::AccessPolicy(AccessRules rules, bool names_required)
    : rules_(std::move(rules)), names_required_(names_required) {}

bool AccessPolicy::open() const {
  return rules_.push.empty() && rules_.viewers.empty() && rules_.operators.empty();
}

bool AccessPolicy::HasRole(const Caller& caller, const std::vector<std::string>& names) const {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return IsNamed(caller, name); });
}

absl::Status AccessPolicy::CheckNamed(const Caller& caller) const {
  if (!caller.names.empty() || (open() && !names_required_)) return absl::OkStatus();
  return absl::UnauthenticatedError("who calls is not known: no client certificate and no token");
}

absl::Status AccessPolicy::MayView(const Caller& caller) const {
  absl::Status named = CheckNamed(caller);
  if (!named.ok() || open() || HasRole(caller, rules_.viewers) ||
      HasRole(caller, rules_.operators)) {
    return named;
  }
  return Denied(caller, "look: it is neither a viewer nor an operator");
}

absl::Status AccessPolicy::MayOperate(const Caller& caller) const {
  absl::Status named = CheckNamed(caller);
  if (!named.ok() || open() || HasRole(caller, rules_.operators)) return named;
  return Denied(caller, "do this: it is not an operator");
}

absl::Status AccessPolicy::MayPushSomething(const Caller& caller) const {
  absl::Status named = CheckNamed(caller);
  if (!named.ok() || open()) return named;
  const bool ruled = std::any_of(rules_.push.begin(), rules_.push.end(),
                                 [&](const PushRule& rule) { return IsNamed(caller, rule.name); });
  return ruled ? absl::OkStatus() : Denied(caller, "push any source");
}

absl::Status AccessPolicy::MayPush(const Caller& caller, std::string_view source) const {
  absl::Status named = CheckNamed(caller);
  if (!named.ok() || open()) return named;
  for (const PushRule& rule : rules_.push) {
    if (IsNamed(caller, rule.name) && MatchesAny(rule.sources, source)) return absl::OkStatus();
  }
  return Denied(caller,
                absl::StrCat("push the source ", GoQuote(PresentableText(source, kMaxShown))));
}

bool AccessPolicy::MayPushInto(const Caller& caller, std::string_view source,
                               std::string_view job) const {
  if (open()) return CheckNamed(caller).ok();
  return std::any_of(rules_.push.begin(), rules_.push.end(), [&](const PushRule& rule) {
    return IsNamed(caller, rule.name) && MatchesAny(rule.sources, source) &&
           MatchesAny(rule.jobs, job);
  });
}

}  // namespace trawl
