#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/model/labels.h"
#include "core/model/metadata.h"

namespace trawl {

// A strict pull parser for Prometheus' text format 0.0.4 and 1.0.0, token for token the one of
// Prometheus 3 (spec 5.1): same texts accepted, same results, same error messages. It is the
// judge of what is well-formed; faster paths may only accept what it accepts. It iterates over
// the body where it is and copies nothing; a last line without "\n" is read as if it had one.
// Two differences: blanks before an unquoted metric name are not a part of the name, and a `le` or
// `quantile` that only Go reads as a number, `1_0` or `0x1p3`, stays as it is written.
//
//   TextParser parser(body);
//   for (;;) switch (parser.Next()) {
//     case TextParser::Entry::kSeries: use parser.series(), value(), timestamp(), ReadLabels()
//     case TextParser::Entry::kEnd: return;
//     case TextParser::Entry::kError: return parser.status();
//   }
//
// The body must outlive the parser. Not thread-safe.
class TextParser {
 public:
  enum class Entry : uint8_t { kEnd, kError, kSeries, kType, kHelp, kComment };

  explicit TextParser(std::string_view body)
      : body_(body), length_(body.size() + (body.ends_with('\n') ? 0 : 1)) {}

  // The next entry. After kEnd and kError the position does not move any more.
  Entry Next();

  // After kError: kInvalidArgument in Prometheus' words, then `; line 3, column 9`.
  absl::Status status() const;
  // The same without the place: what Prometheus reports to the letter.
  const std::string& error() const { return error_; }
  // Of the token that was wrong; from 1, in bytes.
  size_t error_line() const;
  size_t error_column() const;

  // Where the next entry starts; may be moved to the start of any line (or a blank line's end).
  size_t position() const { return i_ < body_.size() ? i_ : body_.size(); }
  void set_position(size_t position);

  // After kSeries. The text of the series as it stands, with braces and inner blanks: the key
  // of the series cache.
  std::string_view series() const { return Slice(series_begin_, series_end_); }
  double value() const { return value_; }
  std::optional<int64_t> timestamp() const { return timestamp_; }  // ms
  // The labels in the order of the text, __name__ first, with escapes resolved and le and
  // quantile in canonical form. Names may repeat and values be empty.
  void ReadLabels(std::vector<Label>* labels) const;

  // After kType and kHelp.
  std::string_view family() const { return Slice(offsets_[0], offsets_[1]); }
  MetricType type() const { return type_; }  // also: the TYPE that is in force
  std::string Help() const;
  // The TYPE in force decides whether le and quantile values are normalised.
  void set_type(MetricType type) { type_ = type; }

 private:
  enum class Token : int8_t;
  enum class State : uint8_t;

  char At(size_t i) const { return i < body_.size() ? body_[i] : '\n'; }
  std::string_view Slice(size_t begin, size_t end) const {
    return body_.substr(begin, end - begin);
  }
  // As in the input with its "\n" appended: for messages.
  std::string Quoted(size_t begin, size_t end) const;

  char Advance();
  Token Lex();
  Token LexInit();
  Token LexComment();
  Token LexMetaName();
  Token LexMetaText();
  Token LexLabels();
  Token LexLabelValue();
  Token LexValue();
  Token LexTimestamp();
  Token LexBlanks(char c);
  Token LexString(Token token, State next);
  Token LexWord(bool colon, Token token, State next);
  Token FinishComment();
  Token NextToken();

  Entry ParseMetadata(Token kind);
  Entry CheckMetadata(Token kind);
  Entry ParseSeries(Token first);
  bool ParseLabelPairs();
  bool ParseLabelPair(Token* token);
  Entry ParseSuffix(Token token);
  bool ParseTimestamp();
  Entry Fail(std::string message);
  Entry FailAt(std::string_view expected, Token got);

  const std::string_view body_;
  const size_t length_;  // with the "\n" that may be missing
  // The lexer: the current token is [token_, i_).
  size_t i_ = 0;
  size_t token_ = 0;
  State state_{};

  size_t start_ = 0;  // of the entry
  size_t series_begin_ = 0;
  size_t series_end_ = 0;
  size_t text_begin_ = 0;
  size_t text_end_ = 0;
  // Pairs of offsets: metric name, then name and value of each label.
  std::vector<size_t> offsets_;
  bool has_name_ = false;
  MetricType type_ = MetricType::kUnknown;
  double value_ = 0;
  std::optional<int64_t> timestamp_;
  std::string error_;
  size_t error_at_ = 0;
};

}  // namespace trawl
