#include "core/discovery/state_store.h"

#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/status_macros.h"
#include "core/base/text.h"

namespace trawl {
namespace {

constexpr std::string_view kSuffix = ".state";

}  // namespace

StateStore::StateStore(const Options& options, const Deps& deps) : options_(options), deps_(deps) {}

absl::StatusOr<std::vector<RestoredSource>> StateStore::Recover() {
  const std::string& directory = options_.directory;
  RETURN_IF_ERROR(deps_.files.CreateDirectory(directory));
  RETURN_IF_ERROR(deps_.files.SyncDirectory(DirectoryOf(directory)));
  // A replaced file that is seen now must be there after a loss of power too.
  RETURN_IF_ERROR(deps_.files.SyncDirectory(directory));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, deps_.files.List(directory));
  RecoverRunning();
  std::vector<RestoredSource> restored;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(directory, "/", name);
    // A fresh snapshot that did not come into use.
    if (absl::EndsWith(name, absl::StrCat(kSuffix, ".tmp"))) deps_.files.Remove(path).IgnoreError();
    if (absl::EndsWith(name, kSuffix)) RecoverFile(path, restored);
  }
  return restored;
}

std::string StateStore::RunningPath() const { return absl::StrCat(options_.directory, "/running"); }

void StateStore::RecoverRunning() {
  const absl::StatusOr<std::string> text = deps_.files.ReadFile(RunningPath());
  absl::Time time;
  std::string error;
  if (text.ok() &&
      absl::ParseTime(absl::RFC3339_full, absl::StripAsciiWhitespace(*text), &time, &error)) {
    last_running_ = time;
  }
}

absl::Status StateStore::NoteRunning(absl::Time now) {
  return WriteFileDurably(
      deps_.files, RunningPath(),
      absl::StrCat(absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone()), "\n"));
}

void StateStore::RecoverFile(const std::string& path, std::vector<RestoredSource>& restored) {
  auto log = std::make_unique<StateLog>(options_.log, deps_.files, path);
  absl::StatusOr<StateLogContents> contents = log->Recover();
  if (!contents.ok()) return SetAside(path, contents.status());
  if (logs_.contains(contents->source)) {
    return SetAside(path, absl::DataLossError(absl::StrCat(path, ": a second log of source ",
                                                           GoQuote(contents->source))));
  }
  if (contents->torn) {
    deps_.metrics.state_torn_writes_total.Increment();
    LogWarn("A change of a source was half written, and is cut off",
            {{"source", contents->source}, {"file", path}, {"offset", contents->good_bytes}});
  }
  logs_[contents->source] = std::move(log);
  paths_.insert(path);
  restored.push_back({std::move(contents->source), std::move(contents->state)});
}

void StateStore::SetAside(const std::string& path, const absl::Status& why) {
  deps_.metrics.state_damaged_files_total.Increment();
  LogError("Discovery state damaged, its source must send a snapshot", {{"err", why}});
  const absl::Status renamed = deps_.files.Rename(path, absl::StrCat(path, ".damaged"));
  if (!renamed.ok()) LogError("Can't set a damaged file aside", {{"err", renamed}});
}

// Names of sources are strangers' text; two with one hash must not share a file.
std::string StateStore::NewPath(const std::string& source) const {
  const std::string stem =
      absl::StrCat(options_.directory, "/", absl::Hex(XxHash64(source), absl::kZeroPad16));
  std::string path = absl::StrCat(stem, kSuffix);
  for (int n = 1; paths_.contains(path); ++n) path = absl::StrCat(stem, "-", n, kSuffix);
  return path;
}

absl::Status StateStore::Record(const std::string& source, const SourceState& before,
                                const StateDelta& delta) {
  auto it = logs_.find(source);
  if (it != logs_.end()) return Count(source, it->second->Record(source, before, delta));
  auto log = std::make_unique<StateLog>(options_.log, deps_.files, NewPath(source));
  // One that was refused leaves nothing behind: strangers may think up names without end.
  RETURN_IF_ERROR(Count(source, log->Record(source, before, delta)));
  paths_.insert(log->path());
  logs_[source] = std::move(log);
  return absl::OkStatus();
}

absl::Status StateStore::Forget(const std::string& source) {
  auto it = logs_.find(source);
  if (it == logs_.end()) return absl::OkStatus();
  RETURN_IF_ERROR(Count(source, it->second->Remove()));
  paths_.erase(it->second->path());
  logs_.erase(it);
  return absl::OkStatus();
}

absl::Status StateStore::Count(const std::string& source, const absl::Status& status) {
  if (!status.ok()) {
    deps_.metrics.state_write_failures_total.Increment();
    if (!failing_) {
      LogError("Can't write discovery state: changes are refused",
               {{"source", source}, {"err", status}});
    }
  }
  failing_ = !status.ok();
  return status;
}

}  // namespace trawl
