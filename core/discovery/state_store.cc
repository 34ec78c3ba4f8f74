#include "core/discovery/state_store.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/base/regular_file.h"
#include "core/base/status_macros.h"

namespace trawl {
namespace {

constexpr std::string_view kSuffix = ".state";

// As NewPath names them: `HEX16.state`, `HEX16-N.state`. Others are copies that somebody made.
bool IsLogName(std::string_view name) {
  constexpr size_t kHashDigits = 16;
  const auto is_all = [](std::string_view text, const char* of) {
    return text.find_first_not_of(of) == std::string_view::npos;
  };
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  const std::string_view hash = name.substr(0, kHashDigits);
  if (hash.size() < kHashDigits || !is_all(hash, "0123456789abcdef")) return false;
  const std::string_view number = name.substr(kHashDigits);
  return number.empty() ||
         (number.size() > 1 && number[0] == '-' && is_all(number.substr(1), "0123456789"));
}

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
    if (IsLogName(name)) {
      RecoverFile(path, restored);
    } else if (absl::EndsWith(name, kSuffix)) {
      LogWarn("A file that trawld did not write is ignored", {{"file", path}});
    }
  }
  return restored;
}

std::string StateStore::RunningPath() const { return absl::StrCat(options_.directory, "/running"); }

void StateStore::RecoverRunning() {
  const absl::StatusOr<std::string> text = ReadRegularFile(deps_.files, RunningPath());
  absl::Time time;
  std::string error;
  if (text.ok() &&
      absl::ParseTime(absl::RFC3339_full, absl::StripAsciiWhitespace(*text), &time, &error)) {
    last_running_ = time;
  }
}

absl::Status StateStore::NoteRunning(absl::Time now) {
  const std::string text =
      absl::StrCat(absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone()), "\n");
  return InDirectory([&] { return WriteFileDurably(deps_.files, RunningPath(), text); });
}

// Somebody may have removed it; its parent, never by mistake.
template <typename Write>
absl::Status StateStore::InDirectory(Write write) {
  absl::Status written = write();
  if (!absl::IsNotFound(written)) return written;
  RETURN_IF_ERROR(CreateLastDirectory(deps_.files, options_.directory));
  RETURN_IF_ERROR(deps_.files.SyncDirectory(DirectoryOf(options_.directory)));
  LogWarn("The directory of discovery's state was gone, and is made anew",
          {{"directory", options_.directory}});
  return write();
}

std::vector<std::string> StateStore::Lost() {
  std::vector<std::string> lost;
  const auto names = deps_.files.List(options_.directory);
  if (!names.ok() && !absl::IsNotFound(names.status())) return lost;
  std::set<std::string> there;
  if (names.ok()) {
    for (const std::string& name : *names) {
      there.insert(absl::StrCat(options_.directory, "/", name));
    }
  }
  for (const auto& [source, log] : logs_) {
    if (!there.contains(log->path())) lost.push_back(source);
  }
  return lost;
}

void StateStore::RecoverFile(const std::string& path, std::vector<RestoredSource>& restored) {
  auto log = std::make_unique<StateLog>(options_.log, deps_.files, path);
  absl::StatusOr<StateLogContents> contents = log->Recover();
  if (!contents.ok()) {
    LogError("Discovery state damaged, its source must send a snapshot",
             {{"err", contents.status()}});
    return SetAside(path);
  }
  if (logs_.contains(contents->source) && !GiveWay(path, *contents, restored)) {
    return SetAsideSecond(path, contents->source);
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

// Of two logs of a source the older one goes; if nobody can tell, the one with the odd name.
bool StateStore::GiveWay(const std::string& path, const StateLogContents& contents,
                         std::vector<RestoredSource>& restored) {
  const auto known =
      std::find_if(restored.begin(), restored.end(),
                   [&](const RestoredSource& other) { return other.source == contents.source; });
  const SourceState& ours = known->state;
  const SourceState& theirs = contents.state;
  const bool comparable = ours.history_id == theirs.history_id && ours.version != theirs.version;
  const bool gives_way =
      comparable ? theirs.version > ours.version : path == FirstPath(contents.source);
  if (!gives_way) return false;
  const std::string known_path = logs_.at(contents.source)->path();
  paths_.erase(known_path);
  logs_.erase(contents.source);
  SetAsideSecond(known_path, contents.source);
  restored.erase(known);
  return true;
}

void StateStore::SetAsideSecond(const std::string& path, const std::string& source) {
  LogError("Of two logs of a source the older one is set aside",
           {{"source", source}, {"file", path}});
  SetAside(path);
}

void StateStore::SetAside(const std::string& path) {
  deps_.metrics.state_damaged_files_total.Increment();
  const std::string aside = absl::StrCat(path, ".damaged");
  absl::Status renamed = deps_.files.Rename(path, aside);
  for (int n = 1; !renamed.ok() && n < 10; ++n) {
    renamed = deps_.files.Rename(path, absl::StrCat(aside, ".", n));
  }
  if (renamed.ok()) return;
  LogError("Can't set a damaged file aside", {{"err", renamed}});
  paths_.insert(path);  // its source is written beside it
}

std::string StateStore::FirstPath(const std::string& source) const {
  return absl::StrCat(options_.directory, "/", absl::Hex(XxHash64(source), absl::kZeroPad16),
                      kSuffix);
}

// Names of sources are strangers' text; two with one hash must not share a file.
std::string StateStore::NewPath(const std::string& source) const {
  std::string path = FirstPath(source);
  const std::string stem = path.substr(0, path.size() - kSuffix.size());
  for (int n = 1; paths_.contains(path); ++n) path = absl::StrCat(stem, "-", n, kSuffix);
  return path;
}

absl::Status StateStore::Record(const std::string& source, const SourceState& before,
                                const StateDelta& delta) {
  auto it = logs_.find(source);
  if (it != logs_.end()) {
    return Count(source, InDirectory([&] { return it->second->Record(source, before, delta); }));
  }
  auto log = std::make_unique<StateLog>(options_.log, deps_.files, NewPath(source));
  // One that was refused leaves nothing behind: strangers may think up names without end.
  RETURN_IF_ERROR(Count(source, InDirectory([&] { return log->Record(source, before, delta); })));
  paths_.insert(log->path());
  logs_[source] = std::move(log);
  return absl::OkStatus();
}

absl::Status StateStore::Forget(const std::string& source) {
  auto it = logs_.find(source);
  if (it == logs_.end()) return absl::OkStatus();
  RETURN_IF_ERROR(Count(source, InDirectory([&] { return it->second->Remove(); })));
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
