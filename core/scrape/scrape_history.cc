#include "core/scrape/scrape_history.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "core/base/text.h"

namespace trawl {
namespace {

constexpr uint32_t kNotReached = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kMaxTime = kNotReached - 1;

constexpr std::array kPhases = {
    &ScrapePhases::dns,      &ScrapePhases::connect, &ScrapePhases::tls,  &ScrapePhases::first_byte,
    &ScrapePhases::transfer, &ScrapePhases::inflate, &ScrapePhases::parse};

uint32_t PackCount(uint64_t count) {
  return static_cast<uint32_t>(std::min<uint64_t>(count, std::numeric_limits<uint32_t>::max()));
}

uint32_t PackTime(absl::Duration time) {
  return static_cast<uint32_t>(
      std::clamp<int64_t>(absl::ToInt64Microseconds(time), 0, int64_t{kMaxTime}));
}

}  // namespace

void ScrapeHistory::Add(const ScrapeRecord& record) {
  std::shared_ptr<const Notes> notes = NotesOf(record);
  Entry& entry = entries_[added_++ % kScrapes];
  entry.start_ms = absl::ToUnixMillis(record.start);
  entry.notes = std::move(notes);
  for (size_t i = 0; i < kPhases.size(); ++i) {
    const std::optional<absl::Duration>& phase = record.phases.*kPhases[i];
    entry.phases_us[i] = phase ? PackTime(*phase) : kNotReached;
  }
  entry.lateness_us = PackTime(record.lateness);
  entry.duration_us = PackTime(record.duration);
  entry.body_bytes = PackCount(record.body_bytes);
  entry.inflated_bytes = PackCount(record.inflated_bytes);
  entry.scraped = PackCount(record.samples_scraped);
  entry.post_relabeling = PackCount(record.samples_post_relabeling);
  entry.series_added = PackCount(record.series_added);
  entry.http_status = static_cast<uint16_t>(record.http_status);
  entry.reason = record.reason;
  entry.connection_reused = record.connection_reused;
}

std::vector<ScrapeRecord> ScrapeHistory::List() const {
  const size_t count = std::min<uint64_t>(added_, kScrapes);
  std::vector<ScrapeRecord> out;
  out.reserve(count);
  for (size_t age = 0; age < count; ++age) {
    out.push_back(Unpack(entries_[(added_ - 1 - age) % kScrapes]));
  }
  return out;
}

std::shared_ptr<const ScrapeHistory::Notes> ScrapeHistory::NotesOf(
    const ScrapeRecord& record) const {
  const bool cut = record.error.size() > kMaxErrorBytes;
  if (added_ > 0 && !cut) {
    const std::shared_ptr<const Notes>& last = entries_[(added_ - 1) % kScrapes].notes;
    if (last->content_type == record.content_type && last->error == record.error &&
        last->out_of_order == record.out_of_order && last->duplicates == record.duplicates &&
        last->out_of_bounds == record.out_of_bounds) {
      return last;
    }
  }
  return std::make_shared<const Notes>(Notes{PresentableText(record.content_type, kMaxErrorBytes),
                                             PresentableText(record.error, kMaxErrorBytes),
                                             record.out_of_order, record.duplicates,
                                             record.out_of_bounds});
}

ScrapeRecord ScrapeHistory::Unpack(const Entry& entry) {
  ScrapeRecord record;
  record.start = absl::FromUnixMillis(entry.start_ms);
  record.lateness = absl::Microseconds(entry.lateness_us);
  record.duration = absl::Microseconds(entry.duration_us);
  for (size_t i = 0; i < kPhases.size(); ++i) {
    if (entry.phases_us[i] == kNotReached) continue;
    record.phases.*kPhases[i] = absl::Microseconds(entry.phases_us[i]);
  }
  record.body_bytes = entry.body_bytes;
  record.inflated_bytes = entry.inflated_bytes;
  record.samples_scraped = entry.scraped;
  record.samples_post_relabeling = entry.post_relabeling;
  record.series_added = entry.series_added;
  record.out_of_order = entry.notes->out_of_order;
  record.duplicates = entry.notes->duplicates;
  record.out_of_bounds = entry.notes->out_of_bounds;
  record.reason = entry.reason;
  record.error = entry.notes->error;
  record.http_status = entry.http_status;
  record.content_type = entry.notes->content_type;
  record.connection_reused = entry.connection_reused;
  return record;
}

}  // namespace trawl
