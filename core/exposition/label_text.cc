#include "core/exposition/label_text.h"

#include <cmath>

#include "core/base/text.h"
#include "core/exposition/float_parser.h"

namespace trawl {
namespace {

// `escapes`: the characters that may stand behind a backslash, n for a line feed.
void Unescape(std::string_view text, std::string_view escapes, std::string* out) {
  out->clear();
  while (true) {
    const size_t backslash = text.find('\\');
    if (backslash == std::string_view::npos || backslash + 1 == text.size()) break;
    out->append(text.substr(0, backslash));
    const char c = text[backslash + 1];
    if (escapes.find(c) == std::string_view::npos) {
      // Only the backslash: what follows it may itself start an escape.
      out->push_back('\\');
      text.remove_prefix(backslash + 1);
      continue;
    }
    out->push_back(c == 'n' ? '\n' : c);
    text.remove_prefix(backslash + 2);
  }
  out->append(text);
}

// Go's strconv.ParseFloat, which also reads hexadecimal floats and digits with underscores;
// neither is a number to us: such values stay as they are written.
bool ReadNumber(std::string_view text, double* value) {
  const ParsedFloat number = ParseGoFloat(text);
  *value = number.value;
  return number.error == FloatError::kNone;
}

}  // namespace

void UnescapeLabelText(std::string_view text, std::string* out) { Unescape(text, "\"\\n", out); }
void UnescapeHelpText(std::string_view text, std::string* out) { Unescape(text, "\\n", out); }

void NormalizeFloatLabel(MetricType type, std::string_view name, std::string* value) {
  const bool le = type == MetricType::kHistogram && name == "le";
  const bool quantile = type == MetricType::kSummary && name == "quantile";
  if (!le && !quantile) return;
  double number;
  if (!ReadNumber(*value, &number)) return;
  if (number == 0) number = 0;  // without a sign
  *value = FormatGoFloat(number);
  const bool special = std::isnan(number) || std::isinf(number);
  if (!special && value->find_first_of("e.") == std::string::npos) value->append(".0");
}

}  // namespace trawl
