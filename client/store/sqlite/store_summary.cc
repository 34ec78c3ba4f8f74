#include "client/store/sqlite/store_summary.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "client/store/sqlite/database.h"
#include "client/store/sqlite/sqlite_file.h"
#include "core/base/status_macros.h"

namespace trawl {

absl::StatusOr<StoreSummary> ReadStoreSummary(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no file ", path));
  }
  ASSIGN_OR_RETURN(auto database, OpenSqliteForReading(path));
  ASSIGN_OR_RETURN(const int64_t samples,
                   database->QueryInt("SELECT coalesce(sum(stored), 0) FROM lanes"));
  ASSIGN_OR_RETURN(
      const int64_t series,
      database->QueryInt("SELECT count(*) FROM (SELECT lk.key, tl.target FROM target_layouts tl "
                         "JOIN layout_keys lk ON lk.layout = tl.layout "
                         "UNION SELECT key, target FROM timed_samples)"));
  ASSIGN_OR_RETURN(const int64_t targets, database->QueryInt("SELECT count(*) FROM targets"));
  StoreSummary summary;
  summary.samples = static_cast<uint64_t>(samples);
  summary.series = static_cast<uint64_t>(series);
  summary.targets = static_cast<uint64_t>(targets);
  return summary;
}

}  // namespace trawl
