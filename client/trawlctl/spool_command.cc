#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/trawlctl/commands.h"
#include "client/trawlctl/output.h"
#include "client/trawlctl/program.h"
#include "core/append/record_decoder.h"
#include "core/base/clock.h"
#include "core/base/duration.h"
#include "core/base/epoll_loop.h"
#include "core/base/file_system.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"
#include "core/model/value.h"
#include "core/spool/stored_log.h"
#include "trawl/storage/v1/storage.pb.h"

namespace trawl {
namespace {

struct SkipOptions {
  std::string sink;
  uint32_t lane = 0;
  uint64_t epoch = 0;  // 0: of the running trawld
  uint64_t number = 0;
  bool dry_run = false;
  bool json = false;
};

// Commands on a spool's files. They need no server and change nothing; of a running trawld they
// show what it had written.
struct SpoolOptions {
  std::string data_dir = "data";
  uint64_t epoch = 0;            // 0: all
  std::optional<uint32_t> lane;  // unset: all
  uint64_t from = 0;             // records to be dumped, both ends included
  uint64_t to = UINT64_MAX;
  bool json = false;
};

const char* ReasonName(HoleReason reason) {
  switch (reason) {
    case HoleReason::kTrimmed:
      return "delivered";
    case HoleReason::kCap:
      return "spool_cap";
    case HoleReason::kAge:
      return "spool_age";
    case HoleReason::kDamaged:
      return "damaged";
    case HoleReason::kNotSpooled:
      return "not_spooled";
  }
  return "unknown";
}

// The logs of a data directory, opened without changing anything. The loop never runs.
class OfflineSpool {
 public:
  explicit OfflineSpool(const SpoolOptions& options) : options_(options) {}

  // Those that the options name. An error where there is no data directory of trawld's.
  absl::StatusOr<std::vector<StoredLane>> Lanes() {
    ASSIGN_OR_RETURN(writer_, files_.ReadFile(absl::StrCat(options_.data_dir, "/writer-id")));
    absl::StripAsciiWhitespace(&writer_);
    ASSIGN_OR_RETURN(std::vector<StoredLane> lanes,
                     FindStoredLanes(files_, absl::StrCat(options_.data_dir, "/spool"), 0));
    std::erase_if(lanes, [this](const StoredLane& lane) {
      return (options_.epoch != 0 && lane.epoch != options_.epoch) ||
             (options_.lane && lane.lane != *options_.lane);
    });
    return lanes;
  }

  // After Lanes.
  absl::StatusOr<std::unique_ptr<StoredLog>> Open(const StoredLane& lane) {
    StoredLog::Options options;
    options.directory = lane.directory;
    options.identity = {writer_, lane.epoch, lane.lane};
    options.read_only = true;
    return StoredLog::Open(options, {loop_, files_, syncer_, budget_});
  }

 private:
  const SpoolOptions options_;
  std::string writer_;
  SystemClock clock_;
  PosixFileSystem files_;
  EpollLoop loop_{clock_};
  SpoolSyncer syncer_{SpoolSyncer::Options{}, {loop_, files_}};
  SpoolBudget budget_{UINT64_MAX};
};

// Rows as a table, or as a JSON array of objects of texts; not more than some rows are kept.
class RowPrinter {
 public:
  using Columns = std::vector<std::pair<std::string, std::string>>;  // title, JSON's name

  RowPrinter(Columns columns, bool json) : columns_(std::move(columns)), json_(json) {}

  void Add(std::vector<std::string> row) {
    if (json_) return PrintObject(row);
    rows_.push_back(std::move(row));
    if (rows_.size() >= kRowsAtOnce) PrintTable();
  }
  void Finish() {
    if (json_) {
      std::fputs(printed_ == 0 ? "[]\n" : "\n]\n", stdout);
    } else if (printed_ == 0 || !rows_.empty()) {
      PrintTable();
    }
  }

 private:
  static constexpr size_t kRowsAtOnce = 10'000;

  void PrintObject(const std::vector<std::string>& row) {
    std::string out = printed_++ == 0 ? "[\n{" : ",\n{";
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&out, i == 0 ? "" : ",", JsonQuote(columns_[i].second), ":",
                      JsonQuote(row[i]));
    }
    std::fputs((out + "}").c_str(), stdout);
  }
  void PrintTable() {
    std::vector<std::string> titles;
    for (const auto& column : columns_) titles.push_back(column.first);
    std::fputs(FormatTable(titles, rows_).c_str(), stdout);
    printed_ += rows_.size();
    rows_.clear();
  }

  const Columns columns_;
  const bool json_;
  size_t printed_ = 0;
  std::vector<std::vector<std::string>> rows_;
};

// From `number` on, calls f(record) for each that is there, hole(h) for each hole; an error if a
// record can't be read.
template <typename OnRecord, typename OnHole>
absl::Status ForEach(StoredLog& log, uint64_t number, OnRecord&& on_record, OnHole&& on_hole) {
  while (number < log.next_number()) {
    const absl::StatusOr<LogRecord> record = log.Read(number);
    if (record.ok()) {
      RETURN_IF_ERROR(on_record(*record));
      ++number;
      continue;
    }
    const std::optional<LogHole> hole = log.HoleAt(number);
    if (!hole) return record.status();
    RETURN_IF_ERROR(on_hole(*hole));
    number = hole->to + 1;
  }
  return absl::OkStatus();
}

// Shows the samples of a range of records.
class Dump final : public RecordDecoder::Visitor {
 public:
  explicit Dump(const SpoolOptions& options) : options_(options) {}

  void OnScrape(const DecodedScrape& scrape) override {
    if (scrape.number < options_.from || scrape.number > options_.to) return;
    scrape.ForEachSample([&](uint32_t position, double value, int64_t time_ms) {
      rows_.Add({absl::StrCat(scrape.number), FormatGoTime(absl::FromUnixMillis(time_ms)),
                 IsStaleMarker(value) ? "stale" : FormatGoFloat(value),
                 scrape.layout->SeriesLabels(position).ToString()});
    });
  }
  void Finish() { rows_.Finish(); }

 private:
  const SpoolOptions options_;
  RowPrinter rows_{
      {{"RECORD", "record"}, {"TIME", "time"}, {"VALUE", "value"}, {"SERIES", "series"}},
      options_.json};
};

absl::Status DumpLog(StoredLog& log, Dump& dump) {
  RecordDecoder decoder(RecordDecoder::Options{.durable = log.first_number() - 1});
  return ForEach(
      log, log.first_number(),
      [&](const LogRecord& record) {
        return decoder.DecodeRecord(record.number, record.bytes, dump);
      },
      [&](const LogHole& hole) {
        storage::v1::Gap gap;
        gap.set_from(hole.from);
        gap.set_to(hole.to);
        return decoder.Skip(gap);
      });
}

// The lanes of each run.
absl::Status RunSpoolLs(const SpoolOptions& options) {
  OfflineSpool spool(options);
  ASSIGN_OR_RETURN(const std::vector<StoredLane> lanes, spool.Lanes());
  RowPrinter rows({{"EPOCH", "epoch"},
                   {"LANE", "lane"},
                   {"FIRST", "first"},
                   {"NEXT", "next"},
                   {"SAMPLES", "samples"},
                   {"SEGMENTS", "segments"},
                   {"BYTES", "bytes"},
                   {"TORN", "tornBytes"},
                   {"LOST", "lostBytes"},
                   {"SET ASIDE", "setAside"}},
                  options.json);
  for (const StoredLane& lane : lanes) {
    ASSIGN_OR_RETURN(const std::unique_ptr<StoredLog> log, spool.Open(lane));
    const StoredLog::Findings& found = log->findings();
    const uint64_t first = log->first_number();
    const uint64_t next = log->next_number();
    rows.Add({absl::StrCat(lane.epoch), absl::StrCat(lane.lane), absl::StrCat(first),
              absl::StrCat(next), absl::StrCat(log->SamplesBetween(first, next - 1)),
              absl::StrCat(found.segments), absl::StrCat(found.bytes),
              absl::StrCat(found.torn_bytes), absl::StrCat(found.lost_bytes),
              absl::StrCat(std::count_if(found.bad_files.begin(), found.bad_files.end(),
                                         [](const StoredLog::BadFile& file) {
                                           return file.kind == StoredLog::BadFile::Kind::kSetAside;
                                         }))});
  }
  rows.Finish();
  return absl::OkStatus();
}

const char* KindName(StoredLog::BadFile::Kind kind) {
  switch (kind) {
    case StoredLog::BadFile::Kind::kTorn:
      return "torn_write";
    case StoredLog::BadFile::Kind::kLost:
      return "unreadable_end";
    case StoredLog::BadFile::Kind::kSetAside:
      return "set_aside";
  }
  return "unknown";
}

// Rows of what is missing of lanes, and how much that is.
class Missing {
 public:
  explicit Missing(bool json)
      : rows_({{"EPOCH", "epoch"},
               {"LANE", "lane"},
               {"FROM", "from"},
               {"TO", "to"},
               {"SAMPLES", "samples"},
               {"REASON", "reason"},
               {"BYTES", "bytes"},
               {"FILE", "file"}},
              json) {}

  void Add(const StoredLane& lane, const LogHole& hole) {
    if (hole.reason == HoleReason::kTrimmed) return;  // everybody has them
    records_ += hole.to - hole.from + 1;
    rows_.Add({absl::StrCat(lane.epoch), absl::StrCat(lane.lane), absl::StrCat(hole.from),
               absl::StrCat(hole.to), absl::StrCat(hole.samples), ReasonName(hole.reason), "", ""});
  }
  void Add(const StoredLane& lane, const StoredLog::BadFile& file) {
    // A write that a crash cut off was never committed.
    if (file.kind != StoredLog::BadFile::Kind::kTorn) ++files_;
    rows_.Add({absl::StrCat(lane.epoch), absl::StrCat(lane.lane), absl::StrCat(file.number), "", "",
               KindName(file.kind), absl::StrCat(file.bytes), file.name});
  }
  // kDataLoss: something is missing.
  absl::Status Finish() {
    rows_.Finish();
    if (records_ + files_ == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(records_, " records are missing, and ", files_,
                                            " files can't be read to their end"));
  }

 private:
  RowPrinter rows_;
  uint64_t records_ = 0;
  uint64_t files_ = 0;
};

// Reads all, and lists what is missing.
absl::Status RunSpoolVerify(const SpoolOptions& options) {
  OfflineSpool spool(options);
  ASSIGN_OR_RETURN(const std::vector<StoredLane> lanes, spool.Lanes());
  Missing missing(options.json);
  for (const StoredLane& lane : lanes) {
    ASSIGN_OR_RETURN(const std::unique_ptr<StoredLog> log, spool.Open(lane));
    for (const StoredLog::BadFile& file : log->findings().bad_files) missing.Add(lane, file);
    RETURN_IF_ERROR(ForEach(
        *log, 1, [](const LogRecord&) { return absl::OkStatus(); },
        [&](const LogHole& hole) {
          missing.Add(lane, hole);
          return absl::OkStatus();
        }));
  }
  return missing.Finish();
}

// The samples in the records.
absl::Status RunSpoolDump(const SpoolOptions& options) {
  OfflineSpool spool(options);
  ASSIGN_OR_RETURN(const std::vector<StoredLane> lanes, spool.Lanes());
  Dump dump(options);
  for (const StoredLane& lane : lanes) {
    ASSIGN_OR_RETURN(const std::unique_ptr<StoredLog> log, spool.Open(lane));
    RETURN_IF_ERROR(
        Annotate(DumpLog(*log, dump), absl::StrCat("epoch ", lane.epoch, ", lane ", lane.lane)));
  }
  dump.Finish();
  return absl::OkStatus();
}

absl::Status RunSkip(Connection& connection, const SkipOptions& options) {
  status::v1::SkipRecordRequest request;
  request.set_sink(options.sink);
  request.set_lane(options.lane);
  request.set_epoch(options.epoch);
  request.set_number(options.number);
  request.set_dry_run(options.dry_run);
  status::v1::SkipRecordResponse response;
  RETURN_IF_ERROR(connection.Call(connection.status(), &status::v1::StatusService::Stub::SkipRecord,
                                  request, response));
  if (options.json) return PrintJson(std::vector{response});
  Print(absl::StrCat("record ", options.number, ", ", response.samples(), " samples",
                     response.target_labels().empty() ? "" : " of ", response.target_labels(),
                     options.dry_run ? ": would be skipped\n" : ": skipped\n"));
  return absl::OkStatus();
}

}  // namespace

void AddSpoolCommands(Program& program) {
  CLI::App* spool = program.app().add_subcommand("spool", "records that wait for storage");
  spool->require_subcommand(1);
  const auto skip = std::make_shared<SkipOptions>();
  CLI::App* give_up = program.Add(
      *spool, "skip", "give up the record that a sink is stuck at (see sinks), for it alone", skip,
      RunSkip);
  give_up->add_option("sink", skip->sink, "its name")->required();
  give_up->add_option("lane", skip->lane, "the lane")->required();
  give_up->add_option("number", skip->number, "the record")->required();
  give_up->add_option("--epoch", skip->epoch, "the run that made it [this one]");
  give_up->add_flag("--dry-run", skip->dry_run, "say what would be lost; change nothing");

  const auto options = std::make_shared<SpoolOptions>();
  const auto add = [&](const std::string& name, const std::string& help,
                       absl::Status (*run)(const SpoolOptions&)) {
    CLI::App* command = program.AddOffline(*spool, name, help, options, run);
    command->add_option("--data-dir", options->data_dir, "trawld's")->capture_default_str();
    command->add_option("--epoch", options->epoch, "only of this run");
    command->add_option("--lane", options->lane, "only this lane");
    return command;
  };
  add("ls", "the spool's lanes, from its files", RunSpoolLs);
  add("verify", "read all of the spool's files, and list what is missing", RunSpoolVerify);
  CLI::App* dump = add("dump", "samples in the spool's files", RunSpoolDump);
  dump->add_option("--from", options->from, "first record");
  dump->add_option("--to", options->to, "last record");
}

}  // namespace trawl
