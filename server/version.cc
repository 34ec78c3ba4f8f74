#include "server/version.h"

#include "absl/strings/str_cat.h"
#include "trawl_version_generated.h"

namespace trawl {

const BuildInfo& GetBuildInfo() {
  static const BuildInfo& info =
      *new BuildInfo{TRAWL_VERSION, TRAWL_REVISION, TRAWL_BUILD_KIND, TRAWL_COMPILER};
  return info;
}

std::string VersionLine(const std::string& program) {
  const BuildInfo& info = GetBuildInfo();
  return absl::StrCat(program, ", version ", info.version, " (revision ",
                      info.revision.empty() ? "unknown" : info.revision, ", ", info.kind,
                      " build, ", info.compiler, ")");
}

}  // namespace trawl
