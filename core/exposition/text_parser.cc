#include "core/exposition/text_parser.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/text.h"
#include "core/exposition/float_parser.h"
#include "core/exposition/label_text.h"

namespace trawl {

// Follows Prometheus' model/textparse: its lexer is generated from promlex.l; the states, the
// order in which tokens end and what is consumed before an error are part of the messages.
enum class TextParser::Token : int8_t {
  kInvalid,
  kEof,
  kLineBreak,
  kBlanks,
  kHelp,
  kType,
  kText,
  kComment,
  kName,
  kQuoted,
  kBraceOpen,
  kBraceClose,
  kLabelName,
  kLabelValue,
  kEqual,
  kComma,
  kTimestamp,
  kValue,
};

enum class TextParser::State : uint8_t {
  kInit,
  kComment,
  kMetaName,
  kMetaText,
  kLabels,
  kLabelValue,
  kValue,
  kTimestamp,
};

namespace {

constexpr std::string_view kTokenNames[] = {
    "INVALID", "EOF",     "LINEBREAK", "WHITESPACE", "HELP",      "TYPE",
    "TEXT",    "COMMENT", "MNAME",     "QSTRING",    "BOPEN",     "BCLOSE",
    "LNAME",   "LVALUE",  "EQUAL",     "COMMA",      "TIMESTAMP", "VALUE"};

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool ParseTypeName(std::string_view text, MetricType* type) {
  constexpr std::pair<std::string_view, MetricType> kTypes[] = {
      {"counter", MetricType::kCounter},     {"gauge", MetricType::kGauge},
      {"histogram", MetricType::kHistogram}, {"summary", MetricType::kSummary},
      {"untyped", MetricType::kUnknown},
  };
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const auto& entry) { return entry.first == text; });
  if (found == std::end(kTypes)) return false;
  *type = found->second;
  return true;
}

// Of what an error message quotes; a target's line may have megabytes.
constexpr size_t kMaxQuotedBytes = 4096;

// As GoQuote; of a long text the middle is left out.
std::string QuotePart(std::string_view text) {
  if (text.size() <= kMaxQuotedBytes) return GoQuote(text);
  const std::string_view tail = text.substr(text.size() - kMaxQuotedBytes / 4);
  return GoQuote(absl::StrCat(text.substr(0, kMaxQuotedBytes / 2), "...", tail));
}

std::string FloatErrorText(FloatError error, std::string_view text) {
  if (error == FloatError::kUnsupported) return "unsupported character in float";
  return absl::StrCat("strconv.ParseFloat: parsing ", QuotePart(text), ": ",
                      error == FloatError::kRange ? "value out of range" : "invalid syntax");
}

}  // namespace

// ---- The lexer. Behind the last "\n" stand NULs that are not consumed.

char TextParser::Advance() {
  ++i_;
  if (i_ >= length_) return '\0';
  // NULs are content in label values, metadata texts and comments.
  while (At(i_) == '\0' && (state_ == State::kLabelValue || state_ == State::kMetaText ||
                            state_ == State::kComment)) {
    ++i_;
  }
  return At(i_);
}

TextParser::Token TextParser::NextToken() {
  Token token = Lex();
  while (token == Token::kBlanks) token = Lex();
  return token;
}

TextParser::Token TextParser::Lex() {
  if (i_ >= length_) return Token::kEof;
  token_ = i_;
  switch (state_) {
    case State::kInit:
      return LexInit();
    case State::kComment:
      return LexComment();
    case State::kMetaName:
      return LexMetaName();
    case State::kMetaText:
      return LexMetaText();
    case State::kLabels:
      return LexLabels();
    case State::kLabelValue:
      return LexLabelValue();
    case State::kValue:
      return LexValue();
    case State::kTimestamp:
      return LexTimestamp();
  }
  return Token::kInvalid;
}

TextParser::Token TextParser::LexBlanks(char c) {
  while (IsBlank(c)) c = Advance();
  return Token::kBlanks;
}

TextParser::Token TextParser::LexWord(bool colon, Token token, State next) {
  char c = Advance();
  while (IsLetter(c) || IsDigit(c) || (colon && c == ':')) c = Advance();
  state_ = next;
  return token;
}

// `"(\\.|[^\\"])*"`; a NUL that Advance lets through, or the end, makes it invalid.
TextParser::Token TextParser::LexString(Token token, State next) {
  for (char c = Advance(); c != '\0'; c = Advance()) {
    if (c == '"') {
      Advance();
      state_ = next;
      return token;
    }
    if (c != '\\') continue;
    c = Advance();
    if (c == '\0' || c == '\n') return Token::kInvalid;
  }
  return Token::kInvalid;
}

TextParser::Token TextParser::LexInit() {
  char c = At(i_);
  if (IsLetter(c) || c == ':') return LexWord(true, Token::kName, State::kValue);
  if (IsBlank(c)) return LexBlanks(c);
  switch (c) {
    case '\0':
      Advance();
      return Token::kEof;
    case '\n':
      Advance();
      return Token::kLineBreak;
    case '{':
      Advance();
      state_ = State::kLabels;
      return Token::kBraceOpen;
    case '#':
      break;
    default:
      return Token::kInvalid;
  }
  c = Advance();
  if (!IsBlank(c)) return FinishComment();
  while (IsBlank(c)) c = Advance();
  state_ = State::kComment;
  return LexComment();
}

// Behind `#` and blanks. HELP or TYPE must be followed by a blank; else it is a comment.
TextParser::Token TextParser::LexComment() {
  char c = At(i_);
  const std::string_view word = c == 'H' ? "HELP" : c == 'T' ? "TYPE" : "";
  if (word.empty()) return FinishComment();
  for (const char expected : word) {
    if (c != expected) return FinishComment();
    c = Advance();
  }
  if (!IsBlank(c)) return FinishComment();
  while (IsBlank(c)) c = Advance();
  state_ = State::kMetaName;
  return word == "HELP" ? Token::kHelp : Token::kType;
}

TextParser::Token TextParser::FinishComment() {
  for (char c = At(i_); c != '\0'; c = Advance()) {
    if (c != '\n') continue;
    state_ = State::kInit;
    return Token::kComment;
  }
  return Token::kEof;
}

TextParser::Token TextParser::LexMetaName() {
  const char c = At(i_);
  if (c == '"') return LexString(Token::kName, State::kMetaText);
  if (IsLetter(c) || c == ':') return LexWord(true, Token::kName, State::kMetaText);
  if (IsBlank(c)) return LexBlanks(c);
  return Token::kInvalid;
}

// The rest of the line; when it is all blanks the text is empty and stands behind them.
TextParser::Token TextParser::LexMetaText() {
  char c = At(i_);
  const bool blank = IsBlank(c);
  while (IsBlank(c)) c = Advance();
  if (blank && (c == '\n' || c == '\0')) return Token::kBlanks;
  while (c != '\n' && c != '\0') c = Advance();
  state_ = State::kInit;
  return Token::kText;
}

TextParser::Token TextParser::LexLabels() {
  const char c = At(i_);
  if (IsLetter(c)) return LexWord(false, Token::kLabelName, State::kLabels);
  if (IsBlank(c)) return LexBlanks(c);
  switch (c) {
    case '"':
      return LexString(Token::kQuoted, State::kLabels);
    case ',':
      Advance();
      return Token::kComma;
    case '=':
      Advance();
      state_ = State::kLabelValue;
      return Token::kEqual;
    case '}':
      Advance();
      state_ = State::kValue;
      return Token::kBraceClose;
    default:
      return Token::kInvalid;
  }
}

TextParser::Token TextParser::LexLabelValue() {
  const char c = At(i_);
  if (c == '"') return LexString(Token::kLabelValue, State::kLabels);
  return IsBlank(c) ? LexBlanks(c) : Token::kInvalid;
}

TextParser::Token TextParser::LexValue() {
  char c = At(i_);
  if (IsBlank(c)) return LexBlanks(c);
  if (c == '{') {
    Advance();
    state_ = State::kLabels;
    return Token::kBraceOpen;
  }
  const auto in_value = [](char v) { return v != '{' && v != '\n' && v != '\0' && !IsBlank(v); };
  if (!in_value(c)) return Token::kInvalid;
  while (in_value(c)) c = Advance();
  state_ = State::kTimestamp;
  return Token::kValue;
}

TextParser::Token TextParser::LexTimestamp() {
  char c = At(i_);
  if (IsBlank(c)) return LexBlanks(c);
  if (c == '\n') {
    Advance();
    state_ = State::kInit;
    return Token::kLineBreak;
  }
  if (!IsDigit(c)) return Token::kInvalid;
  while (IsDigit(c)) c = Advance();
  return Token::kTimestamp;
}

// ---- The parser.

TextParser::Entry TextParser::Next() {
  if (!error_.empty()) return Entry::kError;
  Token token;
  do {
    // Prometheus counts leading blanks as a part of an unquoted metric's name; here they are
    // none of it, as the format says.
    while (state_ == State::kInit && i_ < body_.size() && IsBlank(body_[i_])) ++i_;
    start_ = i_;
    token = NextToken();
  } while (token == Token::kLineBreak);
  offsets_.clear();
  switch (token) {
    case Token::kEof:
      set_position(body_.size());
      i_ = length_;
      return Entry::kEnd;
    case Token::kHelp:
    case Token::kType:
      return ParseMetadata(token);
    case Token::kComment:
      if (const Token end = NextToken(); end != Token::kLineBreak) {
        return FailAt("linebreak expected after comment", end);
      }
      return Entry::kComment;
    case Token::kBraceOpen:
    case Token::kName:
      return ParseSeries(token);
    default:
      return FailAt("expected a valid start token", token);
  }
}

void TextParser::set_position(size_t position) {
  i_ = position;
  token_ = position;
  state_ = State::kInit;
}

TextParser::Entry TextParser::ParseMetadata(Token kind) {
  const std::string name(kTokenNames[static_cast<size_t>(kind)]);
  if (const Token token = NextToken(); token != Token::kName) {
    return FailAt(absl::StrCat("expected metric name after ", name), token);
  }
  const bool quoted = At(token_) == '"';
  offsets_ = {token_ + (quoted ? 1 : 0), i_ - (quoted ? 1 : 0)};
  if (const Token token = NextToken(); token != Token::kText) {
    return Fail(
        absl::StrCat("expected text in ", name, ", got ", kTokenNames[static_cast<size_t>(token)]));
  }
  text_begin_ = std::min(token_ + 1, i_);  // without the blank
  text_end_ = i_;
  return CheckMetadata(kind);
}

TextParser::Entry TextParser::CheckMetadata(Token kind) {
  const std::string_view text = Slice(text_begin_, text_end_);
  if (kind == Token::kType && !ParseTypeName(text, &type_)) {
    return Fail(absl::StrCat("invalid metric type ", QuotePart(text)));
  }
  if (kind == Token::kHelp && !IsValidUtf8(text)) {
    return Fail(absl::StrCat("help text ", QuotePart(text), " is not a valid utf8 string"));
  }
  if (const Token token = NextToken(); token != Token::kLineBreak) {
    return FailAt("linebreak expected after metadata", token);
  }
  return kind == Token::kType ? Entry::kType : Entry::kHelp;
}

TextParser::Entry TextParser::ParseSeries(Token first) {
  has_name_ = first == Token::kName;
  offsets_.assign({start_, i_});
  series_begin_ = start_;
  series_end_ = i_;
  Token token = first;
  if (has_name_) token = NextToken();
  if (token == Token::kBraceOpen) {
    if (!ParseLabelPairs()) return Entry::kError;
    series_end_ = i_;
    token = NextToken();
  }
  return ParseSuffix(token);
}

bool TextParser::ParseLabelPairs() {
  Token token = NextToken();
  while (token != Token::kBraceClose) {
    if (token != Token::kLabelName && token != Token::kQuoted) {
      FailAt("expected label name", token);
      return false;
    }
    if (!ParseLabelPair(&token)) return false;
  }
  return true;
}

// From a name on, or a quoted metric name; `token` is then the one that starts the next pair,
// or the closing brace. A missing comma between pairs is accepted.
bool TextParser::ParseLabelPair(Token* token) {
  size_t begin = token_;
  size_t end = i_;
  *token = NextToken();
  if (*token == Token::kComma || *token == Token::kBraceClose) {
    if (At(begin) != '"') {
      FailAt("expected equal", *token);
      return false;
    }
    if (has_name_) {
      Fail(absl::StrCat("metric name already set while parsing: ", Quoted(start_, i_)));
      return false;
    }
    has_name_ = true;
    offsets_[0] = begin + 1;
    offsets_[1] = end - 1;
    if (*token == Token::kComma) *token = NextToken();
    return true;
  }
  if (At(begin) == '"') {
    ++begin;
    --end;
  }
  if (*token != Token::kEqual) {
    FailAt("expected equal", *token);
    return false;
  }
  if (*token = NextToken(); *token != Token::kLabelValue) {
    FailAt("expected label value", *token);
    return false;
  }
  if (!IsValidUtf8(Slice(token_, i_))) {
    Fail(absl::StrCat("invalid UTF-8 label value: ", Quoted(token_, i_)));
    return false;
  }
  offsets_.insert(offsets_.end(), {begin, end, token_ + 1, i_ - 1});
  if (*token = NextToken(); *token == Token::kComma) *token = NextToken();
  return true;
}

TextParser::Entry TextParser::ParseSuffix(Token token) {
  if (!has_name_) {
    return Fail(absl::StrCat("metric name not set while parsing: ", Quoted(start_, i_)));
  }
  if (token != Token::kValue) return FailAt("expected value after metric", token);
  const std::string_view text = Slice(token_, i_);
  const ParsedFloat number = ParseGoFloat(text);
  if (number.error != FloatError::kNone) {
    return Fail(
        absl::StrCat(FloatErrorText(number.error, text), " while parsing: ", Quoted(start_, i_)));
  }
  value_ = number.value;
  timestamp_.reset();
  token = NextToken();
  if (token == Token::kLineBreak) return Entry::kSeries;
  if (token != Token::kTimestamp) return FailAt("expected timestamp or new record", token);
  if (!ParseTimestamp()) return Entry::kError;
  if (token = NextToken(); token != Token::kLineBreak) {
    return FailAt("expected next entry after timestamp", token);
  }
  return Entry::kSeries;
}

bool TextParser::ParseTimestamp() {
  const std::string_view digits = Slice(token_, i_);
  int64_t value = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec != std::errc()) {
    Fail(absl::StrCat("strconv.ParseInt: parsing ", QuotePart(digits),
                      ": value out of range while parsing: ", Quoted(start_, i_)));
    return false;
  }
  timestamp_ = value;
  return true;
}

// ---- Results.

void TextParser::ReadLabels(std::vector<Label>* labels) const {
  labels->resize(1 + (offsets_.size() - 2) / 4);
  (*labels)[0].name = kMetricName;
  UnescapeLabelText(Slice(offsets_[0], offsets_[1]), &(*labels)[0].value);
  size_t n = 1;
  for (size_t i = 2; i < offsets_.size(); i += 4, ++n) {
    Label& label = (*labels)[n];
    UnescapeLabelText(Slice(offsets_[i], offsets_[i + 1]), &label.name);
    UnescapeLabelText(Slice(offsets_[i + 2], offsets_[i + 3]), &label.value);
    NormalizeFloatLabel(type_, label.name, &label.value);
  }
}

std::string TextParser::Help() const {
  std::string help;
  UnescapeHelpText(Slice(text_begin_, text_end_), &help);
  return help;
}

// ---- Errors.

std::string TextParser::Quoted(size_t begin, size_t end) const {
  const std::string_view slice = Slice(begin, std::min(end, body_.size()));
  if (end <= body_.size()) return QuotePart(slice);
  return QuotePart(absl::StrCat(slice, "\n"));
}

TextParser::Entry TextParser::Fail(std::string message) {
  error_ = std::move(message);
  error_at_ = std::min(token_, body_.size());
  return Entry::kError;
}

TextParser::Entry TextParser::FailAt(std::string_view expected, Token got) {
  const size_t end = std::min(length_, i_ + 1);
  return Fail(absl::StrCat(expected, ", got ", Quoted(token_, end), " (\"",
                           kTokenNames[static_cast<size_t>(got)],
                           "\") while parsing: ", Quoted(start_, end)));
}

size_t TextParser::error_line() const {
  const std::string_view before = body_.substr(0, error_at_);
  return 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
}

size_t TextParser::error_column() const {
  const size_t newline = body_.substr(0, error_at_).rfind('\n');
  return newline == std::string_view::npos ? error_at_ + 1 : error_at_ - newline;
}

absl::Status TextParser::status() const {
  if (error_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(error_, "; line ", error_line(), ", column ", error_column()));
}

}  // namespace trawl
