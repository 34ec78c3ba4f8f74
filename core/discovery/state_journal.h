#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/discovery/state_record.h"

namespace trawl {

// Where the changes of pushed sources are kept: asked before a change touches anything, so that
// what was answered is never lost. One thread; may block on the disk.
class StateJournal {
 public:
  virtual ~StateJournal() = default;
  // After OK, `before` changed by `delta` is what a restart finds. After an error a restart finds
  // either that or what it would have found, and never a part; `before` is the whole truth of the
  // next call. `before` is only looked at during the call.
  virtual absl::Status Record(const std::string& source, const SourceState& before,
                              const StateDelta& delta) = 0;
  // After OK a restart finds no such source. One that was never recorded is OK.
  virtual absl::Status Forget(const std::string& source) = 0;
  // Sources that were recorded and would not be found by a restart, as somebody took their files
  // away: they are to be recorded anew.
  virtual std::vector<std::string> Lost() = 0;
  // The process runs at this time: said now and then, so that the next start knows how long
  // nobody listened to pushers.
  virtual absl::Status NoteRunning(absl::Time now) = 0;
};

}  // namespace trawl
