#include "core/scrape/metadata_lines.h"

#include "core/exposition/text_parser.h"
#include "core/scrape/sample_labels.h"

namespace trawl {

uint32_t MetadataLines::FamilyOf(std::string_view metric_name) {
  Read();
  if (family_.name.empty() || !IsSeriesOfFamily(metric_name, family_)) return 0;
  if (!family_id_.has_value()) family_id_ = keys_.InternFamily(family_);
  return *family_id_;
}

void MetadataLines::Read() {
  if (read_) return;
  read_ = true;
  family_id_.reset();
  if (last_with_type_ != last_) ReadRun(last_with_type_);
  ReadRun(last_);
}

void MetadataLines::ReadRun(Run run) {
  TextParser lines(body_.substr(run.at, run.length));
  for (auto entry = lines.Next();
       entry != TextParser::Entry::kEnd && entry != TextParser::Entry::kError;
       entry = lines.Next()) {
    if (entry == TextParser::Entry::kComment) continue;
    if (lines.family() != family_.name) {
      family_ = MetricFamily();
      family_.name = lines.family();
    }
    if (entry == TextParser::Entry::kHelp) family_.help = lines.Help();
    if (entry == TextParser::Entry::kType) family_.type = type_ = lines.type();
  }
}

}  // namespace trawl
