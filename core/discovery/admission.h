#pragma once

#include <string>

#include "core/discovery/change.h"
#include "core/discovery/source.h"

namespace trawl {

// Whether a change of a source may go on, before its content is looked at: who says it, and which
// version it has (the table in proto/README.md). Pure.
struct Admission {
  enum class Verdict {
    kGoesOn,
    kRepeated,  // it is applied already
    kRejected,
  };
  Verdict verdict = Verdict::kGoesOn;
  // Of a rejection.
  IssueCode code = IssueCode::kUnspecified;
  std::string detail;
  bool resync = false;  // the pusher's idea of the applied version is wrong
};

// `source` is what is known of the change's source; a fresh one if nothing is.
Admission Admit(const Change& change, const Source& source);

}  // namespace trawl
