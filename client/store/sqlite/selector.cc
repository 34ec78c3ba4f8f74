#include <utility>

#include "absl/strings/str_cat.h"
#include "client/store/sqlite/sample_reader.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

// Reads PromQL's series selector from front to back.
class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<LabelMatcher>> Parse() {
    SkipBlanks();
    const std::string_view metric = TakeName(true);
    if (!metric.empty()) {
      matchers_.push_back(
          {std::string(kMetricName), LabelMatcher::Op::kEqual, std::string(metric)});
    }
    SkipBlanks();
    if (Take('{')) RETURN_IF_ERROR(ParseBraces());
    SkipBlanks();
    if (at_ != text_.size()) return Error("unexpected text behind the selector");
    if (matchers_.empty()) return Error("want a metric name or {label=\"value\"}");
    return std::move(matchers_);
  }

 private:
  absl::Status ParseBraces() {
    while (true) {
      SkipBlanks();
      if (Take('}')) return absl::OkStatus();
      RETURN_IF_ERROR(ParseMatcher());
      SkipBlanks();
      if (Take('}')) return absl::OkStatus();
      if (!Take(',')) return Error("want ',' or '}'");
    }
  }

  absl::Status ParseMatcher() {
    LabelMatcher matcher;
    if (at_ < text_.size() && IsQuote(text_[at_])) {
      RETURN_IF_ERROR(ParseString(matcher.name));
    } else {
      matcher.name = std::string(TakeName(false));
    }
    if (matcher.name.empty()) return Error("want a label name");
    SkipBlanks();
    RETURN_IF_ERROR(ParseOp(matcher.op));
    SkipBlanks();
    RETURN_IF_ERROR(ParseString(matcher.value));
    matchers_.push_back(std::move(matcher));
    return absl::OkStatus();
  }

  absl::Status ParseOp(LabelMatcher::Op& op) {
    const std::pair<std::string_view, LabelMatcher::Op> ops[] = {
        {"=~", LabelMatcher::Op::kMatches},
        {"!~", LabelMatcher::Op::kNotMatches},
        {"!=", LabelMatcher::Op::kNotEqual},
        {"=", LabelMatcher::Op::kEqual},
    };
    for (const auto& [token, meaning] : ops) {
      if (text_.substr(at_, token.size()) != token) continue;
      at_ += token.size();
      op = meaning;
      return absl::OkStatus();
    }
    return Error("want =, !=, =~ or !~");
  }

  absl::Status ParseString(std::string& out) {
    if (at_ == text_.size() || !IsQuote(text_[at_])) return Error("want a quoted value");
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && quote != '`') {
        if (++at_ == text_.size()) break;
        const char c = text_[at_];
        out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
        if (c != 'n' && c != 't' && c != '\\' && !IsQuote(c)) return Error("unknown escape");
      } else {
        out += text_[at_];
      }
      ++at_;
    }
    return Take(quote) ? absl::OkStatus() : Error("want the closing quote");
  }

  std::string_view TakeName(bool colons) {
    const size_t begin = at_;
    while (at_ < text_.size() && IsNameChar(text_[at_], colons)) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  static bool IsQuote(char c) { return c == '"' || c == '\'' || c == '`'; }
  static bool IsNameChar(char c, bool colons) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colons && c == ':');
  }

  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("column ", at_ + 1, ": ",
                                                   absl::string_view(what.data(), what.size()),
                                                   "; selector ", GoQuote(text_)));
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::vector<LabelMatcher> matchers_;
};

}  // namespace

absl::StatusOr<std::vector<LabelMatcher>> ParseSelector(std::string_view text) {
  return SelectorParser(text).Parse();
}

}  // namespace trawl
