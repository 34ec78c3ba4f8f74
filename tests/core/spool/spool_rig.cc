#include "tests/core/spool/spool_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/append/record.h"
#include "tests/matchers/status_matchers.h"

namespace trawl {

bool LongTests() {
  const char* const size = std::getenv("TRAWL_TEST_SIZE");
  return size != nullptr && std::string_view(size) == "long";
}

Spool::Options SpoolRig::DefaultOptions() {
  Spool::Options options;
  options.directory = kDirectory;
  options.identity = {"0123456789abcdef0123456789abcdef", 7, 2};
  return options;
}

SpoolRig::SpoolRig() : SpoolRig(DefaultOptions()) {}

SpoolRig::SpoolRig(const Spool::Options& spool_options, uint64_t budget_bytes)
    : options(spool_options), budget(budget_bytes) {
  syncer = std::make_unique<SpoolSyncer>(SpoolSyncer::Options{}, SpoolSyncer::Deps{loop, files});
  spool = std::make_unique<Spool>(options, Spool::Deps{loop, files, *syncer, budget});
}

SpoolRig::~SpoolRig() { spool.reset(); }

absl::Status SpoolRig::Append(RecordKind kind, size_t bytes, uint64_t samples, bool segment_start,
                              bool keyframe) {
  std::string payload = absl::StrCat("record ", records.size() + 1, " ");
  while (payload.size() < bytes) {
    payload.push_back(static_cast<char>(payload.size() * 7 + records.size() * 31));
  }
  WrittenRecord written{kind, keyframe || segment_start, segment_start, samples, ""};
  AppendRecord(kind, payload, written.bytes);
  LogRecord record;
  record.number = spool->next_number();
  record.kind = kind;
  record.keyframe = written.keyframe;
  record.segment_start = segment_start;
  record.samples = samples;
  record.bytes = written.bytes;
  absl::Status status = spool->Append(record);
  if (status.ok()) records.push_back(std::move(written));
  return status;
}

void SpoolRig::Segment(int scrapes, size_t bytes, int keyframe_every) {
  ASSERT_OK(Append(RecordKind::kDictionary, bytes, 0, /*segment_start=*/true));
  for (int i = 0; i < scrapes; ++i) {
    if (i == scrapes / 2) {
      ASSERT_OK(Append(RecordKind::kDictionary, bytes / 2, 0));
    }
    ASSERT_OK(Append(RecordKind::kScrape, bytes, static_cast<uint64_t>(i) % 5 + 1, false,
                     i % keyframe_every == 0));
  }
}

void SpoolRig::Crash() {
  syncer->Pass();
  if (files.List(options.directory).ok()) {
    EXPECT_OK(files.SyncDirectory(options.directory));
  }
  files.LosePower();
  spool.reset();
}

void SpoolRig::Stop() {
  spool.reset();
  syncer->Pass();
}

std::unique_ptr<StoredLog> SpoolRig::RecoverFrom(FileSystem& from, const std::string& directory) {
  StoredLog::Options stored;
  stored.directory = directory;
  stored.identity = options.identity;
  absl::StatusOr<std::unique_ptr<StoredLog>> log =
      StoredLog::Open(stored, {loop, from, *syncer, budget});
  EXPECT_OK(log.status());
  return log.ok() ? *std::move(log) : nullptr;
}

uint64_t SpoolRig::Samples(uint64_t from, uint64_t to) const {
  uint64_t samples = 0;
  for (uint64_t n = from; n <= to; ++n) samples += written(n).samples;
  return samples;
}

uint64_t SpoolRig::SpanEnd(uint64_t number) const {
  while (++number <= last() && !written(number).keyframe) continue;
  return number;
}

uint64_t SpoolRig::SegmentEnd(uint64_t number) const {
  while (++number <= last() && !written(number).segment_start) continue;
  return number;
}

Told SpoolRig::Tell(RecordSource& log, uint64_t from) const {
  Told told;
  bool dictionary_whole = false;
  bool span_whole = false;
  for (uint64_t number = from; number < log.next_number();) {
    absl::StatusOr<LogRecord> record = log.Read(number);
    const std::optional<LogHole> hole = log.HoleAt(number);
    EXPECT_NE(record.ok(), hole.has_value()) << number << " " << record.status();
    if (record.ok() == hole.has_value()) break;
    if (hole) {
      EXPECT_EQ(hole->from, number);
      EXPECT_GE(hole->to, number);
      EXPECT_LT(hole->to, log.next_number());
      for (uint64_t n = number; n <= hole->to && n <= last(); ++n) {
        if (written(n).segment_start) dictionary_whole = true;
        if (written(n).kind == RecordKind::kDictionary) dictionary_whole = false;
        if (written(n).keyframe) span_whole = true;
        span_whole = span_whole && written(n).kind == RecordKind::kDictionary;
      }
      told.holes.push_back(*hole);
      number = hole->to + 1;
      continue;
    }
    EXPECT_LE(number, last());
    if (number > last()) break;
    const WrittenRecord& truth = written(number);
    // Read again: the bytes of before are valid until then.
    record = log.Read(number);
    EXPECT_EQ(record->bytes, truth.bytes) << number;
    EXPECT_EQ(record->kind, truth.kind) << number;
    EXPECT_EQ(record->number, number);
    if (truth.segment_start) dictionary_whole = true;
    if (truth.keyframe) span_whole = true;
    if (truth.kind == RecordKind::kScrape) {
      EXPECT_TRUE(dictionary_whole && span_whole) << number << " can't be decoded";
    }
    told.records.emplace(number, truth.bytes);
    ++number;
  }
  return told;
}

}  // namespace trawl
