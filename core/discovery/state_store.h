#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/discovery/state_journal.h"
#include "core/discovery/state_log.h"
#include "core/telemetry/discovery_metrics.h"

namespace trawl {

// The logs of all pushed sources, in a directory of their own: `HASH.state`, a file a source.
//
// A file that is damaged is renamed to `HASH.state.damaged` and counted: its source is unknown
// then, and will be asked for a snapshot; the others are untouched. Of two files of a source the
// newer one counts, and a name that it did not make is none of its business. A full disk fails what
// is to be recorded, and costs nothing that was. A directory or file that somebody removed is made
// anew.
//
// One thread.
class StateStore final : public StateJournal {
 public:
  struct Options {
    std::string directory;  // made by Recover; its parent exists
    StateLog::Options log;
  };
  struct Deps {
    FileSystem& files;
    DiscoveryMetrics& metrics;
  };

  StateStore(const Options& options, const Deps& deps);

  // Once, first: every source whose file is good. Fails when the directory can't be made or read.
  absl::StatusOr<std::vector<RestoredSource>> Recover();

  absl::Status Record(const std::string& source, const SourceState& before,
                      const StateDelta& delta) override;
  absl::Status Forget(const std::string& source) override;
  std::vector<std::string> Lost() override;
  absl::Status NoteRunning(absl::Time now) override;
  // What the last process noted; unset: nothing that can be read. After Recover.
  std::optional<absl::Time> last_running() const { return last_running_; }

 private:
  template <typename Write>
  absl::Status InDirectory(Write write);
  std::string RunningPath() const;
  void RecoverRunning();
  void RecoverFile(const std::string& path, std::vector<RestoredSource>& restored);
  bool GiveWay(const std::string& path, const StateLogContents& contents,
               std::vector<RestoredSource>& restored);
  void SetAside(const std::string& path);
  void SetAsideSecond(const std::string& path, const std::string& source);
  std::string FirstPath(const std::string& source) const;
  std::string NewPath(const std::string& source) const;
  absl::Status Count(const std::string& source, const absl::Status& status);

  const Options options_;
  const Deps deps_;
  std::map<std::string, std::unique_ptr<StateLog>> logs_;  // by source
  // Of logs_, and of what is in the way of one.
  std::set<std::string> paths_;
  std::optional<absl::Time> last_running_;
  bool failing_ = false;  // said once
};

}  // namespace trawl
