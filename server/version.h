#pragma once

#include <string>

namespace trawl {

// Which program this is; made by the build.
struct BuildInfo {
  std::string version;   // "0.1.0"
  std::string revision;  // `git describe`; "" where there is no repository
  std::string kind;      // "release", "dev", "asan", "tsan"
  std::string compiler;
};
const BuildInfo& GetBuildInfo();

// `trawld, version 0.1.0 (revision 1a2b3c4, dev build, GCC 12.2.0)`
std::string VersionLine(const std::string& program);

}  // namespace trawl
