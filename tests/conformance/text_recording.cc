#include "tests/conformance/text_recording.h"

#include <algorithm>
#include <bit>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/text.h"
#include "core/exposition/text_parser.h"

namespace trawl {
namespace {

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kSummary:
      return "summary";
    default:
      return "unknown";
  }
}

void RecordSeries(const TextParser& parser, std::string* out) {
  const std::string time =
      parser.timestamp().has_value() ? absl::StrCat(*parser.timestamp()) : std::string("-");
  absl::StrAppend(out, "series ", GoQuote(parser.series()), " ",
                  absl::StrFormat("%016x", std::bit_cast<uint64_t>(parser.value())), " ", time,
                  "\n");
  std::vector<Label> labels;
  parser.ReadLabels(&labels);
  std::stable_sort(labels.begin(), labels.end(),
                   [](const Label& a, const Label& b) { return a.name < b.name; });
  for (const Label& label : labels) {
    absl::StrAppend(out, "label ", GoQuote(label.name), " ", GoQuote(label.value), "\n");
  }
}

}  // namespace

std::string RecordText(std::string_view input) {
  TextParser parser(input);
  std::string out;
  while (true) {
    switch (parser.Next()) {
      case TextParser::Entry::kEnd:
        return out + "end\n";
      case TextParser::Entry::kError:
        return absl::StrCat(out, "error ", GoQuote(parser.error()), "\n");
      case TextParser::Entry::kHelp:
        absl::StrAppend(&out, "help ", GoQuote(parser.family()), " ", GoQuote(parser.Help()), "\n");
        break;
      case TextParser::Entry::kType:
        absl::StrAppend(&out, "type ", GoQuote(parser.family()), " ",
                        GoQuote(TypeName(parser.type())), "\n");
        break;
      case TextParser::Entry::kComment:
        out += "comment\n";
        break;
      case TextParser::Entry::kSeries:
        RecordSeries(parser, &out);
        break;
    }
  }
}

std::vector<RecordedCase> ReadRecording(const std::string& path) {
  std::vector<RecordedCase> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("case ")) {
      cases.push_back({std::string(absl::HexStringToBytes(line.substr(5))), ""});
    } else if (!cases.empty()) {
      cases.back().expected += line + "\n";
    }
  }
  return cases;
}

}  // namespace trawl
